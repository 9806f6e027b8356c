"""Forgets what has grown old: in short transactions with pauses between them, so that nobody who works has to wait."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.store import agent_programs
from vmdirac.store import housekeeping as keep
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

FIRST: Final = 20
"""So many rows of each kind are deleted in the first transaction."""
AT_MOST: Final = 500
"""And so many at most in any."""
LONG: Final = 0.2
"""Seconds: where a transaction takes longer, the next one is to delete half as much."""
SHORT: Final = 0.05
"""Seconds: where it takes less, twice as much."""
LEAST_PAUSE: Final = 0.01

AGENT_KEPT: Final = timedelta(days=30)
"""For so long after its last use a version of the agent that no VM of ours needs is kept: a VM that our database does
not know any more may need it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long things are kept after they have ended.

    :param history: of instances, and alerts.
    :param instances: themselves; as long as anything that is kept refers to them, they are too.
    :param decisions: ticks with their decisions.
    :param credentials: which VM was given which credential.
    :param totals: hourly totals of all that is not kept any more.
    """

    history: timedelta
    instances: timedelta
    jobs: timedelta
    decisions: timedelta
    credentials: timedelta
    totals: timedelta


Find = Callable[[Session, datetime, int], list[int]]
Delete = Callable[[Session, Collection[int], datetime], int]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Something that is kept for a while, and then deleted."""

    name: str
    kept: timedelta
    find: Find
    delete: Delete


@dataclass(frozen=True, slots=True)
class Swept:
    """How much of each kind was deleted. ``complete``: nothing is left that is too old, but for what was locked."""

    deleted: dict[str, int]
    complete: bool


def keep_house(
    store: Store,
    retention: Retention,
    now: datetime,
    *,
    pause: Callable[[float], None],
    seconds: Callable[[], float],
    time_left: Callable[[], bool],
) -> Swept:
    """Delete what is kept for too long, as far as there is time.

    What refers to something goes before it. After each transaction there is a pause as long as it has taken: so others
    get in also on SQLite, which lets one in at a time.

    :param pause: waits for so many seconds.
    :param seconds: a clock that only goes forward.
    :param time_left: whether more may be begun.
    """
    deleted: dict[str, int] = {}
    complete = True
    for kind in _kinds(retention):
        deleted[kind.name] = 0
        size = FIRST
        while found := _find(store, kind, now, size):
            if not time_left():
                complete = False
                break
            began = seconds()
            done = store.transact(partial(_delete, kind, found, now))
            took = seconds() - began
            deleted[kind.name] += done
            pause(max(took, LEAST_PAUSE))
            if not done:
                # Somebody has locked all of them: they are looked at again the next time.
                break
            size = _next_size(size, took)
    # A handful, and each of them large.
    store.transact(lambda session: agent_programs.forget(session, now - AGENT_KEPT))
    log.info("deleted: %s%s", deleted, "" if complete else "; there is more, which the next run goes on with")
    return Swept(deleted, complete)


def _find(store: Store, kind: _Kind, now: datetime, size: int) -> list[int]:
    with store.read() as session:
        return kind.find(session, now - kind.kept, size)


def _delete(kind: _Kind, ids: Collection[int], now: datetime, session: Session) -> int:
    return kind.delete(session, ids, now - kind.kept)


def _next_size(size: int, took: float) -> int:
    if took > LONG:
        return max(1, size // 2)
    return min(AT_MOST, size * 2) if took < SHORT else size


def _kinds(retention: Retention) -> tuple[_Kind, ...]:
    return (
        _Kind("jobs", retention.jobs, keep.old_jobs, keep.delete_jobs),
        _Kind("credential handouts", retention.credentials, keep.old_handouts, keep.delete_handouts),
        _Kind("lines of history", retention.history, keep.old_history, keep.delete_history),
        _Kind("instances", retention.instances, keep.old_instances, keep.delete_instances),
        _Kind("ticks", retention.decisions, keep.old_ticks, keep.delete_ticks),
        _Kind("offers", timedelta(0), keep.old_offers, keep.delete_offers),
        _Kind("alerts", retention.history, keep.old_alerts, keep.delete_alerts),
        _Kind("totals", retention.totals, keep.old_totals, keep.delete_totals),
    )
