"""Scheduling for people, ``/ui/v1``: what was decided and what is held, and the actions that end failure memory.

Whoever may see the page may read; acting takes the right to edit connections, as Airflow's auth manager grants it.
"""

from __future__ import annotations

import logging
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_connection
from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query
from sqlalchemy.orm import Session

from vmdirac.manager.scheduling_messages import (
    DecisionPage,
    DecisionView,
    ResumeRequest,
    ResumeResponse,
    Scheduling,
)
from vmdirac.manager.scheduling_overview import overview
from vmdirac.manager.ui_routes import may_see
from vmdirac.manager.vm_routes import Now, TheStore
from vmdirac.model.hold import Hold
from vmdirac.store import endpoints, pods, scheduling_table, ticks
from vmdirac.store.scheduling_table import DecisionSort

log = logging.getLogger(__name__)

router = APIRouter(prefix="/ui/v1", tags=["pages"], dependencies=[Depends(may_see)])

may_act = requires_access_connection("PUT")

Name = Annotated[str, Path(min_length=1, max_length=190)]


def from_our_page(
    content_type: Annotated[str, Header()] = "", sec_fetch_site: Annotated[str, Header()] = "same-origin"
) -> None:
    """Refuses what another site's page sends with the user's cookie: a form can send no JSON, a script has to ask the
    browser for permission, and browsers that tell where a call comes from are believed."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "the body must be JSON, with Content-Type: application/json")
    if sec_fetch_site != "same-origin":
        raise HTTPException(403, "the call comes from another site's page")


ACTION = [Depends(may_act), Depends(from_our_page)]


@router.get("/scheduling")
def scheduling(at: Now, store: TheStore, user: GetUserDep) -> Scheduling:
    """The last tick, and all pods, endpoints and images."""
    allowed = get_auth_manager().is_authorized_connection(method="PUT", user=user)
    with store.read() as session:
        return overview(session, at, may_act=allowed)


@router.get("/decisions")
def decision_page(
    store: TheStore,
    text: Annotated[str, Query(max_length=400)] = "",
    sort: DecisionSort = DecisionSort.ATTENTION,
    *,
    descending: bool = True,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> DecisionPage:
    """The decisions of the last tick, filtered, sorted and cut into pages by the database."""
    with store.read() as session:
        tick = ticks.last_planned(session)
        if tick is None:
            return DecisionPage(decisions=[], total=0)
        rows, total = scheduling_table.decisions_page(
            session, tick.id, text=text, sort=sort, descending=descending, limit=limit, offset=offset
        )
        return DecisionPage(decisions=[DecisionView.model_validate(row) for row in rows], total=total)


# The parameter is called as in Airflow's own routes: its guard looks there for which connection it is.
@router.post("/endpoints/{connection_id:path}/resume", dependencies=ACTION)
def resume(
    connection_id: Name, store: TheStore, user: GetUserDep, message: ResumeRequest | None = None
) -> ResumeResponse:
    """Drop what holds launches on an endpoint: the next tick tries them again."""
    pod = message.pod if message is not None else None

    def work(session: Session) -> list[Hold] | None:
        dropped = endpoints.reset_holds(session, endpoint=connection_id, pod=pod)
        known = {row.name for row in scheduling_table.all_endpoints(session)}
        return dropped if dropped or connection_id in known else None

    dropped = store.transact(work)
    if dropped is None:
        raise HTTPException(404, "no endpoint of this name has been used")
    log.info(
        "%r resumed launches on %r%s: dropped %d holds: %s",
        user.get_name(),
        connection_id,
        f" for pod {pod!r}" if pod is not None else "",
        len(dropped),
        [f"{hold.kind} {hold.pod} {hold.flavor}".strip() for hold in dropped],
    )
    return ResumeResponse(dropped=len(dropped))


@router.post("/images/{name:path}/reset", dependencies=ACTION, status_code=204)
def reset(name: Name, at: Now, store: TheStore, user: GetUserDep) -> None:
    """Take an image out of Error: the next tick starts VMs with it again."""
    if not store.transact(lambda session: pods.reset_image(session, name, at)):
        raise HTTPException(404, "no image of this name has been used")
    log.info("%r reset image %r", user.get_name(), name)
