"""What VMs left behind, for people, ``/ui/v1``. It may tell more than states do, so it takes the right to act."""

from __future__ import annotations

from fastapi import APIRouter, Depends, HTTPException, Response

from vmdirac.manager.scheduling_routes import may_act
from vmdirac.manager.ui_routes import may_see
from vmdirac.manager.vm_routes import InstanceId, TheStore
from vmdirac.store import instance_logs

router = APIRouter(prefix="/ui/v1", tags=["pages"], dependencies=[Depends(may_see), Depends(may_act)])


@router.get("/instances/{instance_id}/log")
def instance_log(instance_id: InstanceId, store: TheStore) -> Response:
    """The agent's log, as text: whatever a VM sent, no browser is to take it for anything else."""
    with store.read() as session:
        found = instance_logs.read(session, instance_id)
    if found is None:
        raise HTTPException(404, f"instance {instance_id} sent no log")
    text = found.content.decode("utf-8", "replace")
    headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(text, media_type="text/plain; charset=utf-8", headers=headers)
