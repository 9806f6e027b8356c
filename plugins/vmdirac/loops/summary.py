"""Last step of a tick: what came of it, in one line."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from vmdirac.model.decision import ReasonCode
from vmdirac.store import instances, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import DecisionRow
from vmdirac.store.ticks import TickDemand

log = logging.getLogger(__name__)

NOTHING_WANTED = frozenset({ReasonCode.UNACTIVE, ReasonCode.INVALID})
"""Where a pod is not to run, or cannot, nothing is held back."""


def note_tick(store: Store, tick_id: int, now: datetime) -> str:
    """Sum a tick up and keep that with it."""
    with store.read() as session:
        unanswered = instances.unanswered_of(session, tick_id)
        note = summary(ticks.demand_of(session, tick_id), ticks.decisions(session, tick_id), unanswered)
    store.transact(lambda session: ticks.put_note(session, tick_id, note, now))
    log.info("%s", note)
    return note


def summary(told: TickDemand, decisions: Sequence[DecisionRow], unanswered: int = 0) -> str:
    """Such as "12 waiting, 3 started on site-a, 9 held: endpoint limit".

    :param unanswered: VMs of the tick that the cloud has given no answer for yet.
    """
    parts = [f"{told.demand.jobs} waiting"] if told.demand is not None else []
    parts += [f"{source} could not be read" for source in sorted(told.errors)]
    started = Counter[str]()
    failed = Counter[str]()
    for row in decisions:
        started[row.endpoint] += row.launched
        failed[row.endpoint] += row.failed
    parts += [f"{count} started on {name}" for name, count in sorted(started.items()) if count]
    parts += [f"{count} refused on {name}" for name, count in sorted(failed.items()) if count]
    planned = sum(row.planned for row in decisions)
    if unanswered:
        parts.append(f"{unanswered} without an answer yet")
    given_back = planned - started.total() - failed.total() - unanswered
    if given_back > 0:
        parts.append(f"{given_back} not asked for after failures")
    held = [row for row in decisions if row.clipped_by is not None and row.clipped_by not in NOTHING_WANTED]
    # The warranted VMs are the pod's, the same in each of its rows.
    warranted = {row.pod: row.warranted for row in held}
    missing = sum(warranted.values()) - sum(row.planned for row in decisions if row.pod in warranted)
    limits = Counter(row.clipped_by for row in held)
    if missing > 0 and limits:
        words = ", ".join(code.value.replace("_", " ") for code in sorted(code for code in limits if code is not None))
        parts.append(f"{missing} held: {words}")
    if told.demand is not None and told.demand.unmatched:
        parts.append(f"{told.demand.unmatched} that no pod serves")
    return ", ".join(parts) or "nothing to do"
