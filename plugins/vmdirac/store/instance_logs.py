"""The logs that agents send before their end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.store.tables import InstanceLogRow


@dataclass(frozen=True, slots=True)
class InstanceLog:
    """When it came, and what is in it: whatever the VM sent."""

    at: datetime
    content: bytes


def keep(session: Session, instance_id: int, content: bytes, now: datetime) -> None:
    """Keep the log of a VM whose row the caller has locked, in place of an earlier one."""
    row = session.get(InstanceLogRow, instance_id)
    if row is None:
        session.add(InstanceLogRow(instance_id=instance_id, at=now, content=content))
    else:
        row.at, row.content = now, content


def read(session: Session, instance_id: int) -> InstanceLog | None:
    """The log of a VM; ``None``: it sent none."""
    row = session.get(InstanceLogRow, instance_id)
    return None if row is None else InstanceLog(row.at, row.content)


def came_at(session: Session, instance_id: int) -> datetime | None:
    """When the log of a VM came; ``None``: it sent none."""
    return session.scalar(select(InstanceLogRow.at).where(InstanceLogRow.instance_id == instance_id))
