"""What of a VM's user data its cloud did not take: the VM fetches it before its agent runs."""

from __future__ import annotations

from fastapi import APIRouter, Response

from vmdirac.manager import vm_registration
from vmdirac.manager.vm_refusal import Refusal
from vmdirac.manager.vm_routes import InstanceId, Now, TheConfigured, TheStore, Token, refused

router = APIRouter(prefix="/vm/v1", tags=["VMs"])


@router.get("/instances/{instance}/context")
def context(instance: InstanceId, token: Token, at: Now, store: TheStore, configured: TheConfigured) -> Response:
    """The rest of the user data, for the bootstrap secret. It holds no secret, but what is configured is nobody else's
    business."""
    # Before the database is asked: it may take a while.
    configured.get()
    with store.read() as session:
        found = vm_registration.rest_of_user_data(session, instance, token, at, configured.deadlines)
    if isinstance(found, Refusal):
        raise refused(found, instance)
    return Response(found, media_type="text/x-shellscript; charset=utf-8")
