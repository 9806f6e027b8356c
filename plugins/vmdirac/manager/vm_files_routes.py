"""The part of the VM interface by which VMs leave something behind."""

from __future__ import annotations

import logging

from fastapi import APIRouter, HTTPException
from sqlalchemy.orm import Session

from vmdirac.hooks.upload_permissions import permit
from vmdirac.manager.vm_files_messages import LogRequest, OutputsRequest, OutputsResponse, OutputTargetView
from vmdirac.manager.vm_routes import Caller, InstanceId, JobId, Now, TheStore, turned_away
from vmdirac.manager.vm_service import OVER, Refusal, RefusedError
from vmdirac.model.errors import ConfigError
from vmdirac.store import instance_logs, instances, leases

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/vm/v1", tags=["VMs"])


@router.post("/instances/{instance}/log", status_code=204)
def log(instance: InstanceId, by: Caller, message: LogRequest, at: Now, store: TheStore) -> None:
    """Keep the agent's log with its instance, also with one that is being deleted."""

    def work(session: Session) -> None:
        row = instances.locked(session, instance)
        if row is None or row.status in OVER:
            raise RefusedError(Refusal.NOT_THERE if row is None else Refusal.GONE)
        instance_logs.keep(session, instance, message.log, at)

    try:
        store.transact(work)
    except RefusedError as error:
        raise turned_away(error, by, at, store) from None


@router.post("/instances/{instance}/jobs/{job}/outputs")
def outputs(instance: InstanceId, job: JobId, by: Caller, message: OutputsRequest, store: TheStore) -> OutputsResponse:
    """Say where a job's files are to be put, as long as the job is this VM's."""
    with store.read() as session:
        held = leases.held(session, instance, job, message.lease)
    if held is None or held.target is None:
        return OutputsResponse(accepted=held is not None, targets=[])
    places = [(held.target.location(job, held.attempt, file.name), file.size) for file in message.files]
    try:
        # Outside of any transaction: a connection that assumes a role has to ask for it.
        given = permit(held.target, places)
    except ConfigError as error:
        logger.error("instance %s: files of job %s cannot be put away: %s", instance, job, error)
        # Not 503, which VMs wait out however long it takes: this may last, and the job is to end some time.
        raise HTTPException(424, "no permission can be given", {"Retry-After": "60"}) from None
    targets = [
        OutputTargetView(name=file.name, url=one.url, headers=dict(one.headers))
        for file, one in zip(message.files, given, strict=True)
    ]
    return OutputsResponse(accepted=True, targets=targets)
