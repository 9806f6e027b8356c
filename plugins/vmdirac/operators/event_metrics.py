"""Counters and timings of what happened, through Airflow's own statistics. docs/monitoring.md lists all metrics."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Final

from airflow.sdk.observability import stats

from vmdirac.model.event import Event, EventKind
from vmdirac.operators.metrics import part_of_name

NAMES: Final = MappingProxyType(
    {
        EventKind.LAUNCH: ("vmdirac.launches", "vmdirac.launched"),
        EventKind.LAUNCH_FAILURE: ("vmdirac.launch_failures", "vmdirac.launch_failed"),
        EventKind.DELETE_FAILURE: ("vmdirac.delete_failures", "vmdirac.delete_failed"),
        EventKind.HALT: ("vmdirac.halts", "vmdirac.halted"),
        EventKind.PHASE: ("vmdirac.phase", "vmdirac.phases"),
    }
)
"""The name of each metric with tags, and that to which what is counted by is added for those without."""

TOLD: Final = frozenset({*NAMES, EventKind.TICK})

TIMED: Final = frozenset({EventKind.PHASE})


def tell(event: Event) -> None:
    """Tell of one event."""
    took = timedelta(seconds=event.seconds)
    if event.kind is EventKind.TICK:
        stats.timing("vmdirac.tick", took)
        return
    with_tags, without = NAMES[event.kind]
    tags = {**event.tags(), "pod": event.pod, "endpoint": event.endpoint}
    parts = [*event.tags().values(), event.pod or "tasks", event.endpoint]
    full = ".".join([without, *map(part_of_name, parts)])
    if event.kind in TIMED:
        stats.timing(with_tags, took, tags=tags)
        stats.timing(full, took)
    else:
        stats.incr(with_tags, tags=tags)
        stats.incr(full)
