"""What happened in all, by kind: from the hourly totals, and from what has not been added to them yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from vmdirac.model.event import EventKind
from vmdirac.store.counting import hour_of
from vmdirac.store.tables import JobRow, TotalRow


@dataclass(frozen=True, slots=True)
class Total:
    """How much of something happened; ``what``, ``seconds``: see :class:`~vmdirac.model.event.EventKind`."""

    kind: EventKind
    what: str
    count: int
    seconds: float


def since(session: Session, begin: datetime) -> list[Total]:
    """What happened since the beginning of this moment's hour, but for decisions: those that are kept are not added up.

    Jobs are added to the hourly totals when they are deleted; those that are still there are counted beside them.
    """
    hour = hour_of(begin)
    told = (
        select(TotalRow.kind, TotalRow.what, func.sum(TotalRow.count), func.sum(TotalRow.seconds))
        .where(TotalRow.hour >= hour, TotalRow.kind != EventKind.DECISION)
        .group_by(TotalRow.kind, TotalRow.what)
    )
    there = (
        select(JobRow.status, func.count(), func.sum(JobRow.cpu_seconds))
        .where(JobRow.finished_at >= hour)
        .group_by(JobRow.status)
    )
    sums: dict[tuple[EventKind, str], tuple[int, float]] = {}
    for kind, what, count, seconds in session.execute(told):
        sums[EventKind(kind), what] = (int(count), float(seconds))
    for status, count, seconds in session.execute(there):
        before = sums.get((EventKind.JOB, status.value), (0, 0.0))
        sums[EventKind.JOB, status.value] = (before[0] + count, before[1] + float(seconds))
    order = list(EventKind)
    return [Total(*key, *sums[key]) for key in sorted(sums, key=lambda key: (order.index(key[0]), key[1]))]
