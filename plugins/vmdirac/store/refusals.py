"""Calls to the VM interface that were refused: how often, for which instance and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from vmdirac.store.changes import in_parts
from vmdirac.store.tables import InstanceRow, RefusalRow

NOBODYS: Final = 0
"""Stands for the instance of calls for none that there is: whoever makes up ids makes no rows."""


def add(session: Session, calls: Mapping[tuple[int, str], int], now: datetime) -> None:
    """Count calls that were refused since the last time.

    :param calls: how many by (instance, reason).
    """
    known = _known(session, sorted({instance for instance, _ in calls}))
    counted = Counter[tuple[int, str]]()
    for (instance, reason), number in calls.items():
        counted[instance if instance in known else NOBODYS, reason] += number
    for part in in_parts(sorted({instance for instance, _ in counted})):
        query = select(RefusalRow).where(RefusalRow.instance_id.in_(part)).order_by(RefusalRow.id).with_for_update()
        there = {(row.instance_id, row.reason): row for row in session.scalars(query)}
        for (instance, reason), number in sorted(counted.items()):
            if instance not in part:
                continue
            if (row := there.get((instance, reason))) is None:
                session.add(RefusalRow(instance_id=instance, reason=reason, calls=number, first_at=now, last_at=now))
            else:
                row.calls, row.last_at = row.calls + number, now
    session.flush()


def _known(session: Session, instances: Sequence[int]) -> set[int]:
    known: set[int] = set()
    for part in in_parts(instances):
        known.update(session.scalars(select(InstanceRow.id).where(InstanceRow.id.in_(part))))
    return known


def of_instance(session: Session, instance_id: int) -> list[RefusalRow]:
    """What was refused for one instance, the latest first."""
    query = select(RefusalRow).where(RefusalRow.instance_id == instance_id)
    return list(session.scalars(query.order_by(RefusalRow.last_at.desc(), RefusalRow.reason)))


def totals(session: Session) -> dict[str, int]:
    """How many calls were refused for each reason, for all instances together."""
    query = select(RefusalRow.reason, func.sum(RefusalRow.calls)).group_by(RefusalRow.reason)
    return {reason: int(calls) for reason, calls in session.execute(query.order_by(RefusalRow.reason))}


def worst(session: Session, limit: int) -> list[RefusalRow]:
    """The instances and reasons with the most refused calls."""
    query = select(RefusalRow).order_by(RefusalRow.calls.desc(), RefusalRow.id).limit(limit)
    return list(session.scalars(query))
