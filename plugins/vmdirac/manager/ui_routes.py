"""What logged-in people may see, ``/ui/v1``. Airflow does not guard the apps of plugins: every route here asks for
itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import APIRouter, Depends, HTTPException, Query
from sqlalchemy.orm import Session

from vmdirac.manager.stop_rights import is_allowed
from vmdirac.manager.ui_messages import (
    HandoutView,
    HistoryView,
    InstancePage,
    InstancePlace,
    InstanceView,
    RefusalView,
    SshView,
    StayView,
    Summary,
)
from vmdirac.manager.vm_routes import InstanceId, Now, TheStore
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.policy.drain import can_be_taken_back
from vmdirac.policy.phases import stays
from vmdirac.store import (
    handouts,
    instance_logs,
    instances,
    instances_table,
    lives,
    one_offs,
    queue,
    refusals,
    ssh_contexts,
)

may_see = requires_access_view(AccessView.CLUSTER_ACTIVITY)

router = APIRouter(prefix="/ui/v1", tags=["pages"], dependencies=[Depends(may_see)])


@router.get("/summary")
def summary(at: Now, store: TheStore, user: GetUserDep) -> Summary:
    """How many VMs and jobs are in each state."""
    with store.read() as session:
        vms, jobs = instances.counts(session), queue.counts(session)
    return Summary(
        instances={status: vms.get(status, 0) for status in InstanceStatus},
        jobs={status: jobs.get(status, 0) for status in JobStatus},
        may_stop=is_allowed(user),
        as_of=at,
    )


@router.get("/instances")
def instance_page(
    store: TheStore,
    status: Annotated[list[InstanceStatus] | None, Query()] = None,
    sort: instances_table.SortColumn = instances_table.SortColumn.ID,
    *,
    descending: bool = True,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> InstancePage:
    """The table of instances, sorted and cut into pages by the database."""
    with store.read() as session:
        rows, total = instances_table.page(
            session, statuses=status or [], sort=sort, descending=descending, limit=limit, offset=offset
        )
        return InstancePage(instances=[InstanceView.model_validate(row) for row in rows], total=total)


@router.get("/instances/{instance_id}")
def instance_place(instance_id: InstanceId, at: Now, store: TheStore, user: GetUserDep) -> InstancePlace:
    """One instance with all that happened to it."""
    allowed = get_auth_manager().is_authorized_connection(method="PUT", user=user)
    with store.read() as session:
        row, item = instances_table.one(session, instance_id), instances.get(session, instance_id)
        if row is None or item is None:
            raise HTTPException(404, f"there is no instance {instance_id}")
        view = InstanceView.model_validate(row)
        return InstancePlace(
            **view.model_dump(),
            boot_image=row.request.get("boot_image", ""),
            flavor=row.request.get("flavor", ""),
            forced=row.forced,
            may_stop=is_allowed(user),
            can_go_on=can_be_taken_back(item),
            error_kind=row.error_kind,
            expires_at=item.expires_at,
            suspicious=row.suspicious,
            refusals=[RefusalView.model_validate(line) for line in refusals.of_instance(session, instance_id)],
            credentials=[HandoutView.model_validate(line) for line in handouts.of_instance(session, instance_id)],
            history=[HistoryView.model_validate(line) for line in instances.history(session, instance_id)],
            phases=_phases(session, instance_id, at),
            log_at=instance_logs.came_at(session, instance_id),
            may_read_log=allowed,
            ssh=_ssh(session, instance_id, may_see_logs=allowed),
            with_it=one_offs.siblings(session, item.requester_key) if item.requester_key is not None else [],
            as_of=at,
        )


def _phases(session: Session, instance_id: int, at: datetime) -> list[StayView]:
    found = stays(lives.histories(session, [instance_id]).get(instance_id, []))
    return [StayView(phase=stay.phase, began=stay.began, ended=stay.ended, seconds=stay.seconds(at)) for stay in found]


def _ssh(session: Session, instance_id: int, *, may_see_logs: bool) -> SshView | None:
    row = ssh_contexts.get(session, instance_id)
    if row is None:
        return None
    view = SshView.model_validate(row)
    return view if may_see_logs else view.model_copy(update={"output": None})
