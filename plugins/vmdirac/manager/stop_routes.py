"""Stopping VMs, and letting them go on, ``/ui/v1``: for whoever may edit the DAG that starts them."""

from __future__ import annotations

from typing import Final

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException

from vmdirac.loops.asked_stop import StopReport, preview_stop, stop_selected, take_back_selected
from vmdirac.manager.scheduling_routes import from_our_page
from vmdirac.manager.stop_messages import GoOnResponse, SelectedInstances, StopChoices, StopRequest, StopResponse
from vmdirac.manager.stop_rights import may_stop
from vmdirac.manager.ui_routes import may_see
from vmdirac.manager.vm_routes import Now, TheStore
from vmdirac.model.stop import StopWish
from vmdirac.store import selection

MANY: Final = 10
"""More than so many are stopped only when somebody has agreed, which the DAG asks for that stops VMs."""

router = APIRouter(prefix="/ui/v1", tags=["pages"], dependencies=[Depends(may_see)])


ACTION = [Depends(may_stop), Depends(from_our_page)]


@router.get("/stops", dependencies=[Depends(may_stop)])
def choices(store: TheStore) -> StopChoices:
    """What VMs to be stopped can have in common."""
    with store.read() as session:
        pods, endpoints = selection.pods(session), selection.endpoints(session)
    return StopChoices(pods=pods, endpoints=endpoints, unasked=MANY)


@router.post("/stops", dependencies=ACTION)
def stop(message: StopRequest, at: Now, store: TheStore, user: GetUserDep) -> StopResponse:
    """Stop instances that were looked at, or say what that would do."""
    wish = StopWish(message.selection(), user.get_name(), message.why, forced=message.force)
    if message.dry_run:
        return _told(preview_stop(store, wish))
    if len(set(message.instances)) > MANY:
        raise HTTPException(
            409, f"they are more than {MANY}: trigger the DAG vmdirac_stop, which asks somebody to agree"
        )
    return _told(stop_selected(store, wish, at, looked_at=message.instances))


@router.post("/stops/cancel", dependencies=ACTION)
def go_on(message: SelectedInstances, at: Now, store: TheStore, user: GetUserDep) -> GoOnResponse:
    """Cancel drains, as far as no deletion has begun."""
    return GoOnResponse(going_on=take_back_selected(store, message.selection(), user.get_name(), message.why, at))


def _told(report: StopReport) -> StopResponse:
    return StopResponse(
        stopped=report.stopped,
        instances=report.ids,
        jobs=report.jobs,
        untouched=report.untouched,
        what=str(report),
    )
