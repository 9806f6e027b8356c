"""Ticks and decisions: what the scheduler saw, wanted and got can be read back."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.store import ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import TickRow

LATER = START + timedelta(seconds=7)
NEEDS = Requirements(
    cpu_time=1000, processors=2, memory_mb=3, sites=("a",), banned_sites=("b",), tags=("é",), owner_group="g"
)
DEMAND = Demand((TaskQueue("17", NEEDS, 40, 2.5), TaskQueue("x y", Requirements(cpu_time=1), 10**9)), START)


def decision(pod: str = "pod", endpoint: str = "alpha", *reasons: Reason) -> Decision:
    return Decision(pod, endpoint, 40, 10**15, active=3, in_flight=2, warranted=9, planned=4, reasons=reasons)


def begun(store: Store, demand: Demand | None = DEMAND, error: str = "") -> int:
    with store.write() as session:
        return ticks.begin(session, START, "manual__1", demand, error)


def test_the_demand_comes_back_as_it_was_read(store: Store) -> None:
    tick_id = begun(store)
    with store.read() as session:
        assert ticks.demand_of(session, tick_id) == DEMAND
        tick = session.get_one(TickRow, tick_id)
    assert (tick.began_at, tick.run_id, tick.demand_error, tick.planned_at) == (START, "manual__1", "", None)


def test_no_demand_is_another_thing_than_demand_that_could_not_be_read(store: Store) -> None:
    nothing, unknown = begun(store, Demand((), START)), begun(store, None, "the queue does not answer\x00")
    with store.read() as session:
        assert ticks.demand_of(session, nothing) == Demand((), START)
        assert ticks.demand_of(session, unknown) is None
        assert session.get_one(TickRow, unknown).demand_error == "the queue does not answer\ufffd"


def test_decisions_keep_numbers_and_reasons(store: Store) -> None:
    tick_id, other_tick = begun(store), begun(store)
    limit = Reason.of(ReasonCode.POD_LIMIT, count=3, limit=3)
    invalid = Reason.of(ReasonCode.INVALID, message="unknown key 'é'")
    with store.write() as session:
        ticks.record_plan(
            session, tick_id, [decision("q"), decision("p", "beta", limit, invalid), decision("p")], LATER
        )
        ticks.record_plan(session, other_tick, [decision("p")], LATER)
    with store.read() as session:
        rows = ticks.decisions(session, tick_id)
        assert session.get_one(TickRow, tick_id).planned_at == LATER
    assert [(row.pod, row.endpoint) for row in rows] == [("p", "alpha"), ("p", "beta"), ("q", "alpha")]
    row = rows[1]
    assert (row.jobs, row.waiting_cpu, row.active, row.in_flight) == (40, 10**15, 3, 2)
    assert (row.warranted, row.planned, row.launched, row.failed) == (9, 4, 0, 0)
    assert row.reasons == [
        {"code": "pod_limit", "parameters": {"count": 3, "limit": 3}, "sentence": "the pod has 3 of at most 3 VMs"},
        {"code": "invalid", "parameters": {"message": "unknown key 'é'"}, "sentence": "unknown key 'é'"},
    ]


def test_launches_are_counted_with_the_decision_that_they_came_from(store: Store) -> None:
    tick_id, other_tick = begun(store), begun(store)
    with store.write() as session:
        for id_ in (tick_id, other_tick):
            ticks.record_plan(session, id_, [decision("p"), decision("p", "beta"), decision("q")], LATER)
    with store.write() as session:
        ticks.count_launch(session, tick_id, "p", "alpha", launched=2, failed=0)
        ticks.count_launch(session, tick_id, "p", "alpha", launched=1, failed=4)
        ticks.count_launch(session, None, "p", "alpha", launched=9, failed=9)
    with store.read() as session:
        counted = [(row.launched, row.failed) for row in ticks.decisions(session, tick_id)]
        others = [(row.launched, row.failed) for row in ticks.decisions(session, other_tick)]
    assert counted == [(3, 4), (0, 0), (0, 0)]
    assert others == [(0, 0)] * 3
