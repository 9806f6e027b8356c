"""What came of a tick, in one line; and one line for each decision."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.clock import START
from tests.fakes.configured import an_endpoint
from tests.fakes.world import World
from vmdirac.loops.plan_and_reserve import describe
from vmdirac.loops.summary import note_tick, summary
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.store import ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import DecisionRow
from vmdirac.store.ticks import TickDemand


def waiting(jobs: int, unmatched: int = 0, **errors: str) -> TickDemand:
    queues = (TaskQueue("1", Requirements(cpu_time=1), jobs),) if jobs else ()
    return TickDemand(Demand(queues, START, unmatched), errors)


def row(pod: str = "p", endpoint: str = "site-a", **fields: Any) -> DecisionRow:
    default = {"warranted": 0, "planned": 0, "launched": 0, "failed": 0, "clipped_by": None}
    return DecisionRow(pod=pod, endpoint=endpoint, **{**default, **fields})


UNKNOWN = TickDemand(None, {"dirac": "time-out"})
LIMIT, RATE, HELD = ReasonCode.ENDPOINT_LIMIT, ReasonCode.LAUNCH_RATE, ReasonCode.HELD


@pytest.mark.parametrize(
    ("told", "rows", "expected"),
    [
        (TickDemand(None, {}), [], "nothing to do"),
        (waiting(0), [row()], "0 waiting"),
        (waiting(5), [row()], "5 waiting"),
        (UNKNOWN, [], "dirac could not be read"),
        (
            waiting(12),
            [row(warranted=12, planned=3, launched=3, clipped_by=LIMIT)],
            "12 waiting, 3 started on site-a, 9 held: endpoint limit",
        ),
        (
            waiting(12, z="why", a="why"),
            [row(warranted=3, planned=3, launched=2, failed=1)],
            "12 waiting, a could not be read, z could not be read, 2 started on site-a, 1 refused on site-a",
        ),
        (
            waiting(5),
            [row(warranted=5, planned=5, launched=2, failed=1)],
            "5 waiting, 2 started on site-a, 1 refused on site-a, 2 not asked for after failures",
        ),
        (
            waiting(9),
            # What the pod is worth stands in each of its rows, and counts once.
            [
                row(endpoint="site-b", warranted=9, planned=2, launched=2, clipped_by=RATE),
                row(warranted=9, planned=1, launched=1, clipped_by=LIMIT),
                row("q", warranted=4, clipped_by=LIMIT),
            ],
            "9 waiting, 1 started on site-a, 2 started on site-b, 10 held: endpoint limit, launch rate",
        ),
        (
            waiting(9),
            [row(endpoint="b", warranted=9, planned=9, launched=9), row(warranted=9, clipped_by=HELD)],
            "9 waiting, 9 started on b",
        ),
        (waiting(4, 3), [row(warranted=4, clipped_by=HELD)], "4 waiting, 4 held: held, 3 that no pod serves"),
        (UNKNOWN, [row(warranted=2, planned=2, launched=2)], "dirac could not be read, 2 started on site-a"),
        (waiting(0), [row("broken", "", clipped_by=ReasonCode.INVALID)], "0 waiting"),
    ],
)
def test_one_line_says_what_came_of_it(told: TickDemand, rows: list[DecisionRow], expected: str) -> None:
    assert summary(told, rows) == expected


def test_it_is_kept_with_the_tick(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world = World(store, endpoints=[an_endpoint(max_instances=3)])
    world.submit(12)
    world.submit(2, tags=("gpu",))
    world.tick()
    with store.read() as session:
        tick = ticks.last_planned(session)
    assert tick is not None
    assert tick.note == "12 waiting, 3 started on alpha, 9 held: endpoint limit, 2 that no pod serves"
    assert note_tick(store, tick.id, START) == tick.note
    assert tick.note in caplog.text


class TestDescribe:
    def decision(self, endpoint: str = "alpha", *reasons: Reason) -> Decision:
        return Decision("pod", endpoint, 12, 999, active=3, in_flight=2, warranted=9, planned=4, reasons=reasons)

    def test_one_line_for_a_decision_what_comes_of_it_first(self) -> None:
        demand = Reason.of(ReasonCode.DEMAND, jobs=9, vms=9)
        limit = Reason.of(LIMIT, count=7, limit=7)
        assert describe(self.decision("alpha", demand, limit)) == (
            "pod on alpha: 4 to start: 9 waiting jobs can fill 9 more VMs; the endpoint has 7 of at most 7 VMs"
            " (12 matching jobs, 3 active VMs, 2 of them on their way)"
        )

    def test_of_a_pod_as_a_whole(self) -> None:
        assert describe(self.decision("")).startswith("pod: 4 to start: nothing to do (")
