"""What calls of all kinds do with the row of the VM that calls."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.manager.vm_refusal import Refusal, RefusedError
from vmdirac.model.states import BOOTING, InstanceStatus
from vmdirac.store import instances
from vmdirac.store.tables import InstanceRow

OVER = frozenset({InstanceStatus.HALTED, InstanceStatus.ERROR})
REVIVABLE = BOOTING | {InstanceStatus.STALLED}


def calling(session: Session, instance_id: int) -> InstanceRow:
    """The row of the VM that calls, locked until the transaction ends.

    :raises RefusedError: if there is none, or it is over.
    """
    row = instances.locked(session, instance_id)
    if row is None:
        raise RefusedError(Refusal.NOT_THERE)
    if row.status in OVER:
        raise RefusedError(Refusal.GONE)
    return row


def note_call(session: Session, row: InstanceRow, now: datetime, reason: str) -> None:
    """The VM lives: note when, and bring it to Running from wherever a call may bring it there."""
    row.heard_at = now
    session.flush()
    if row.status in REVIVABLE:
        change_locked(session, row, now, reason, to=InstanceStatus.RUNNING)


def change_locked(session: Session, row: InstanceRow, now: datetime, reason: str, **values: object) -> None:
    """A change of a row that this transaction has locked: it cannot be refused."""
    instance = instances.get(session, row.id)
    if instance is None or not instances.change(session, instance, now, reason, **values):  # type: ignore[arg-type]
        raise RuntimeError(f"instance {row.id} changed under its lock")
    session.refresh(row)


def lifetime_left(row: InstanceRow, now: datetime) -> float | None:
    """For how long the VM may still work; ``None``: it has no end."""
    lifetime = float(row.offer.get("max_lifetime") or 0)
    return lifetime - (now - (row.last_launch_at or row.created_at)).total_seconds() if lifetime else None
