"""The part of the VM interface by which VMs leave something behind."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from vmdirac.config.allowances import why_not_there
from vmdirac.manager.signing_desk import BusyError, SigningDesk
from vmdirac.manager.vm_files_messages import LogRequest, OutputsRequest, OutputsResponse, OutputTargetView
from vmdirac.manager.vm_refusal import Refusal, RefusedError
from vmdirac.manager.vm_routes import Caller, InstanceId, JobId, Now, TheStore, turned_away
from vmdirac.manager.vm_rows import OVER
from vmdirac.model.errors import ConfigError
from vmdirac.store import instance_logs, instances, results

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/vm/v1", tags=["VMs"])


def the_signing_desk(request: Request) -> SigningDesk:
    """Who signs for files."""
    found: SigningDesk = request.app.state.signing
    return found


TheSigningDesk = Annotated[SigningDesk, Depends(the_signing_desk)]


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
async def outputs(
    instance: InstanceId, job: JobId, by: Caller, message: OutputsRequest, store: TheStore, desk: TheSigningDesk
) -> OutputsResponse:
    """Say where a job's files are to be put, as long as the job is this VM's. Not signed in a thread of those that
    serve heartbeats: a connection may be slow."""

    def find() -> results.Held | None:
        with store.read() as session:
            return results.held(session, instance, job, message.lease)

    held = await run_in_threadpool(find)
    if held is None or held.target is None:
        return OutputsResponse(accepted=held is not None, targets=[])
    places = [(held.target.location(job, held.attempt, file.name), file.size) for file in message.files]
    try:
        # Asked anew each time: a VM may live long after its administrator has taken the place out.
        if why := why_not_there(held.target):
            raise ConfigError(why)
        given = await desk.permit(held.target, places)
    except BusyError:
        raise HTTPException(503, "too many files are being signed for", {"Retry-After": "10"}) from None
    except ConfigError as error:
        logger.error("instance %s: files of job %s cannot be put away: %s", instance, job, error)
        # Not 503, which VMs wait out however long it takes: this may last, and the job is to end some time.
        raise HTTPException(424, "no permission can be given", {"Retry-After": "60"}) from None
    targets = [
        OutputTargetView(name=file.name, url=one.url, headers=dict(one.headers))
        for file, one in zip(message.files, given, strict=True)
    ]
    return OutputsResponse(accepted=True, targets=targets)
