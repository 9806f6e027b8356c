"""How far rows have been counted, and the hourly totals of what was counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vmdirac.model.event import Event, EventKind
from vmdirac.policy.cursor import Cursor, Gap
from vmdirac.store.tables import CountingRow, HistoryRow, TickRow, TotalRow

AT_ONCE: Final = 500
"""Rows that are counted in one transaction, so that nobody waits long for it."""


class Countable(StrEnum):
    """What is counted row by row."""

    HISTORY = "history"
    TICKS = "ticks"


def cursor(session: Session, name: Countable) -> Cursor:
    """How far they have been counted. Locked until the transaction ends: two never count at once."""
    query = select(CountingRow).where(CountingRow.name == name).with_for_update()
    row = session.scalar(query)
    if row is None:
        session.add(CountingRow(name=name.value, upto=0, gaps=[]))
        session.flush()
        return Cursor()
    gaps = (Gap(gap["first"], gap["last"], datetime.fromisoformat(gap["since"])) for gap in row.gaps)
    return Cursor(row.upto, tuple(gaps))


def put_cursor(session: Session, name: Countable, at: Cursor) -> None:
    """Keep how far they have been counted."""
    gaps = [{"first": gap.first, "last": gap.last, "since": gap.since.isoformat()} for gap in at.gaps]
    session.execute(update(CountingRow).where(CountingRow.name == name).values(upto=at.upto, gaps=gaps))


def new_history(session: Session, at: Cursor) -> dict[int, int]:
    """Lines of histories that have not been counted, with their instances: at most :data:`AT_ONCE` of those that are
    beyond the cursor, and all that are in its gaps."""
    query = select(HistoryRow.id, HistoryRow.instance_id).order_by(HistoryRow.id)
    rows = list(session.execute(query.where(HistoryRow.id > at.upto).limit(AT_ONCE)))
    if at.gaps:
        passed = HistoryRow.id.between(min(gap.first for gap in at.gaps), at.upto)
        rows += [row for row in session.execute(query.where(passed)) if at.is_new(row.id)]
    return {row.id: row.instance_id for row in rows}


def new_ticks(session: Session, at: Cursor) -> list[tuple[int, Event]]:
    """The same of ticks that have ended, with their events."""
    query = (
        select(TickRow.id, TickRow.began_at, TickRow.ended_at).where(TickRow.ended_at.is_not(None)).order_by(TickRow.id)
    )
    rows = list(session.execute(query.where(TickRow.id > at.upto).limit(AT_ONCE)))
    if at.gaps:
        passed = TickRow.id.between(min(gap.first for gap in at.gaps), at.upto)
        rows += [row for row in session.execute(query.where(passed)) if at.is_new(row.id)]
    return [
        (
            row.id,
            Event(EventKind.TICK, row.ended_at, seconds=max(0.0, (row.ended_at - row.began_at).total_seconds())),
        )
        for row in rows
    ]


Key = tuple[datetime, str, str, str, str]
"""Hour, kind, pod, endpoint and what."""


def add_totals(session: Session, events: Iterable[Event]) -> None:
    """Add events to the totals of the hours in which they happened."""
    add_amounts(
        session,
        [
            ((hour_of(event.at), event.kind.value, event.pod, event.endpoint, event.what), 1, event.seconds)
            for event in events
        ],
    )


def hour_of(at: datetime) -> datetime:
    """When the hour of a moment began."""
    return at.replace(minute=0, second=0, microsecond=0)


def add_amounts(session: Session, amounts: Sequence[tuple[Key, int, float]]) -> None:
    """Add counts and seconds to totals."""
    sums: dict[Key, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for key, count, seconds in amounts:
        sums[key] = (sums[key][0] + count, sums[key][1] + seconds)
    hours, kinds = {key[0] for key in sums}, {key[1] for key in sums}
    query = select(TotalRow).where(TotalRow.hour.in_(hours), TotalRow.kind.in_(kinds))
    known = {(row.hour, row.kind, row.pod, row.endpoint, row.what): row for row in session.scalars(query)}
    for key, (count, seconds) in sorted(sums.items()):
        if (row := known.get(key)) is not None:
            # Added by the database: another one may count into the same hour now.
            session.execute(
                update(TotalRow)
                .where(TotalRow.id == row.id)
                .values(count=TotalRow.count + count, seconds=TotalRow.seconds + seconds)
                .execution_options(synchronize_session=False)
            )
        else:
            hour, kind, pod, endpoint, what = key
            session.add(
                TotalRow(hour=hour, kind=kind, pod=pod, endpoint=endpoint, what=what, count=count, seconds=seconds)
            )
    session.flush()
