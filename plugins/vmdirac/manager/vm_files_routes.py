"""The part of the VM interface by which VMs leave something behind."""

from __future__ import annotations

from fastapi import APIRouter
from sqlalchemy.orm import Session

from vmdirac.manager.vm_files_messages import LogRequest
from vmdirac.manager.vm_routes import Caller, InstanceId, Now, TheStore, refused
from vmdirac.manager.vm_service import Refusal
from vmdirac.store import instance_logs, instances

router = APIRouter(prefix="/vm/v1", tags=["VMs"])


@router.post("/instances/{instance}/log", status_code=204)
def log(instance: InstanceId, by: Caller, message: LogRequest, at: Now, store: TheStore) -> None:
    """Keep the agent's log with its instance, also with one that is over."""

    def work(session: Session) -> bool:
        if instances.locked(session, instance) is None:
            return False
        instance_logs.keep(session, instance, message.log, at)
        return True

    if not store.transact(work):
        raise refused(Refusal.NOT_THERE, instance)
