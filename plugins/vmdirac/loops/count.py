"""Counts what happened, each thing once: from rows that are committed, past a cursor that is moved with the totals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.model.event import Event
from vmdirac.policy.cursor import advance
from vmdirac.policy.events import events
from vmdirac.store import counting, lives
from vmdirac.store.counting import Countable
from vmdirac.store.database import Store

BATCHES_AT_MOST: Final = 200
"""So much is counted in one go; the rest by the next one."""


def count(store: Store, now: datetime, tell: Callable[[Event], None]) -> int:
    """Count all that is new: add it to the hourly totals, and tell it; how much it was.

    Events are told when it is committed that they were counted, so that nothing is told twice, whoever is tried again.
    A process that dies in between has counted in the totals, and not told, what was in its last batch.
    """
    found = 0
    for what in (_count_history, _count_ticks):
        for _ in range(BATCHES_AT_MOST):
            batch = store.transact(partial(what, now=now))
            if batch is None:
                break
            for event in batch:
                tell(event)
            found += len(batch)
    return found


def _count_history(session: Session, now: datetime) -> list[Event] | None:
    """One batch of lines of histories; ``None``: there are no new ones."""
    at = counting.cursor(session, Countable.HISTORY)
    lines = counting.new_history(session, at)
    if not lines:
        return None
    found: list[Event] = []
    for life in lives.of_instances(session, set(lines.values())):
        found += events(life.history, lines.keys(), life.pod, life.endpoint, life.stop_reason)
    counting.add_totals(session, found)
    counting.put_cursor(session, Countable.HISTORY, advance(at, lines, now))
    return found


def _count_ticks(session: Session, now: datetime) -> list[Event] | None:
    at = counting.cursor(session, Countable.TICKS)
    ended = counting.new_ticks(session, at)
    if not ended:
        return None
    found = [event for _, event in ended]
    counting.add_totals(session, found)
    counting.put_cursor(session, Countable.TICKS, advance(at, (id_ for id_, _ in ended), now))
    return found
