"""Last step of a tick: what came of it, in one line."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from vmdirac.store import ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import DecisionRow
from vmdirac.store.ticks import TickDemand

log = logging.getLogger(__name__)


def note_tick(store: Store, tick_id: int) -> str:
    """Sum a tick up and keep that with it."""
    with store.read() as session:
        note = summary(ticks.demand_of(session, tick_id), ticks.decisions(session, tick_id))
    store.transact(lambda session: ticks.put_note(session, tick_id, note))
    log.info("%s", note)
    return note


def summary(told: TickDemand, decisions: Sequence[DecisionRow]) -> str:
    """Such as "12 waiting, 3 started on site-a, 9 held: endpoint_limit"."""
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
    if unanswered := planned - started.total() - failed.total():
        parts.append(f"{unanswered} without an answer yet")
    # The warranted VMs are the pod's, the same in each of its rows.
    by_pod = {row.pod: row for row in decisions}
    missing = sum(row.warranted for row in by_pod.values()) - planned
    limits = Counter(row.clipped_by for row in decisions if row.clipped_by is not None)
    if missing > 0 and limits:
        words = ", ".join(code.value.replace("_", " ") for code, _ in sorted(limits.items()))
        parts.append(f"{missing} held: {words}")
    if told.demand is not None and told.demand.unmatched:
        parts.append(f"{told.demand.unmatched} that no pod serves")
    return ", ".join(parts) or "nothing to do"
