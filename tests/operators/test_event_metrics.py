"""Counters and timings, as Airflow's statistics get them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.observability import stats

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.event import Event, EventKind
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.operators.event_metrics import TOLD, tell
from vmdirac.operators.watch import VmdiracWatchOperator
from vmdirac.store import instances
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was told: name, milliseconds of timings, tags."""
    found: list[Any] = []

    def incr(name: str, *, tags: dict[str, str] | None = None) -> None:
        found.append((name, None, tags))

    def timing(name: str, took: timedelta, *, tags: dict[str, str] | None = None) -> None:
        found.append((name, took / timedelta(milliseconds=1), tags))

    monkeypatch.setattr(stats, "incr", incr)
    monkeypatch.setattr(stats, "timing", timing)
    return found


def test_with_tags_and_without(told: list[Any]) -> None:
    tell(Event(EventKind.HALT, START, "p.1", "site a", "idle"))
    assert told == [
        ("vmdirac.halts", None, {"reason": "idle", "pod": "p.1", "endpoint": "site a"}),
        ("vmdirac.halted.idle.p__1.site_a", None, None),
    ]


def test_a_phase_is_timed(told: list[Any]) -> None:
    tell(Event(EventKind.PHASE, START, "", "alpha", "boot", 1.5))
    assert told == [
        ("vmdirac.phase", 1500, {"phase": "boot", "pod": "", "endpoint": "alpha"}),
        ("vmdirac.phases.boot.tasks.alpha", 1500, None),
    ]


def test_a_tick_is_timed(told: list[Any]) -> None:
    tell(Event(EventKind.TICK, START, seconds=2))
    assert told == [("vmdirac.tick", 2000, None)]


@pytest.mark.parametrize("kind", EventKind)
def test_everything_that_is_counted_row_by_row_is_told(told: list[Any], kind: EventKind) -> None:
    if kind in {EventKind.JOB, EventKind.DECISION}:
        # Of these there are gauges, and the page: they are added up when their rows go.
        assert kind not in TOLD
    else:
        tell(Event(kind, START, "pod", "alpha", "what", 1))
        assert told


def test_the_task_that_watches_tells_each_once(store: Store, told: list[Any]) -> None:
    with store.write() as session:
        item = add_instance(session)
        instances.change(session, item, START, "gone", to=InstanceStatus.HALTED, stop_reason=StopReason.IDLE)
    for _ in range(2):
        VmdiracWatchOperator(task_id="watch").execute({})
    assert [name for name, _, tags in told if tags] == ["vmdirac.halts", "vmdirac.phase"]
