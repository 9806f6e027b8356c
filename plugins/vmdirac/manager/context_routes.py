"""What of a VM's user data its cloud did not take: the VM fetches it before its agent runs."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from vmdirac.contextualization.bootstrap_secret import fingerprint, is_secret
from vmdirac.manager.vm_routes import InstanceId, TheStore, Token, refused
from vmdirac.manager.vm_service import OVER, Refusal
from vmdirac.store.instances import REST_OF_USER_DATA
from vmdirac.store.tables import InstanceRow

router = APIRouter(prefix="/vm/v1", tags=["VMs"])


@router.get("/instances/{instance}/context")
def context(instance: InstanceId, token: Token, store: TheStore) -> Response:
    """The rest of the user data, as it was frozen with the launch.

    For the bootstrap secret, which this does not use up, until the VM has registered. It holds no secret, but what is
    configured is nobody else's business.
    """
    with store.read() as session:
        found = _rest(session, instance, token)
    if isinstance(found, Refusal):
        raise refused(found, instance)
    return Response(found, media_type="text/x-shellscript; charset=utf-8")


def _rest(session: Session, instance: int, secret: str) -> str | Refusal:
    row = session.get(InstanceRow, instance)
    # The same work and the same answer whether the id or the secret is wrong: nothing can be learned from it.
    if not is_secret(secret, row.bootstrap_hash if row is not None else fingerprint("")) or row is None:
        return Refusal.WRONG_SECRET
    if row.status in OVER:
        return Refusal.GONE
    if row.nonce_hash is not None:
        return Refusal.OTHER_NONCE
    return str(row.request.get(REST_OF_USER_DATA, ""))
