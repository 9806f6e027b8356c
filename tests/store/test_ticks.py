"""Ticks and decisions: what the scheduler saw, wanted and got can be read back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import func, select

from tests.fakes.clock import START
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.store import ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import DecisionRow, OfferRow, TickRow
from vmdirac.store.ticks import TickDemand

LATER = START + timedelta(seconds=7)
NEEDS = Requirements(
    cpu_time=1000, processors=2, memory_mb=3, sites=("a",), banned_sites=("b",), tags=("é",), owner_group="g"
)
DEMAND = Demand((TaskQueue("17", NEEDS, 40, 2.5), TaskQueue("x y", Requirements(cpu_time=1), 10**9)), START, 10**10)
OFFER = Offer(cpu_time=100_000, site="site-alpha", tags=("é",), max_lifetime=3600)


def decision(pod: str = "pod", endpoint: str = "alpha", *reasons: Reason) -> Decision:
    return Decision(pod, endpoint, 40, 10**15, active=3, in_flight=2, warranted=9, planned=4, reasons=reasons)


def begun(store: Store, at: timedelta = timedelta(0), run_id: str = "manual__1") -> int:
    with store.write() as session:
        return ticks.begin(session, START + at, run_id)


def tell(store: Store, tick_id: int, source: str, demand: Demand | None, error: str = "") -> None:
    with store.write() as session:
        ticks.put_demand(session, tick_id, source, demand, error)


def told(store: Store, tick_id: int) -> TickDemand:
    with store.read() as session:
        return ticks.demand_of(session, tick_id)


def record(
    store: Store,
    tick_id: int,
    *decisions: Decision,
    offers: dict[tuple[str, str], Offer] | None = None,
    demand_age: float | None = None,
) -> list[DecisionRow]:
    """Keep the decisions; their rows."""
    with store.write() as session:
        ticks.record_plan(session, tick_id, decisions, LATER, offers=offers or {}, demand_age=demand_age)
    with store.read() as session:
        return ticks.decisions(session, tick_id)


class TestTick:
    def test_it_says_when_it_began_and_what_was_asked_for_by_hand(self, store: Store) -> None:
        with store.write() as session:
            id_ = ticks.begin(session, START, "manual__1", "pod", 3)
        with store.read() as session:
            row = session.get_one(TickRow, id_)
        assert (row.began_at, row.run_id, row.ordered_pod, row.ordered_vms) == (START, "manual__1", "pod", 3)
        assert (row.planned_at, row.note) == (None, "")

    def test_nobody_asked_for_anything_unless_it_is_said(self, store: Store) -> None:
        id_ = begun(store)
        with store.read() as session:
            row = ticks.get(session, id_)
        assert row is not None
        assert (row.ordered_pod, row.ordered_vms) == ("", None)

    def test_the_note_is_that_of_the_runs_last_tick(self, store: Store) -> None:
        first, last, other = begun(store), begun(store), begun(store, run_id="manual__2")
        with store.write() as session:
            for id_, note in ((first, "first"), (last, "last \x00"), (other, "other")):
                ticks.put_note(session, id_, note, START)
        with store.read() as session:
            assert ticks.note_of_run(session, "manual__1") == "last \ufffd"
            assert ticks.note_of_run(session, "manual__2") == "other"
            assert ticks.note_of_run(session, "manual__3") == ""

    def test_the_last_planned_one_is_of_all_pods(self, store: Store) -> None:
        with store.read() as session:
            assert ticks.last_planned(session) is None
        full = begun(store)
        with store.write() as session:
            of_one_pod = ticks.begin(session, START, "", "pod")
        record(store, full)
        record(store, of_one_pod)
        begun(store)
        with store.read() as session:
            last = ticks.last_planned(session)
        assert last is not None
        assert last.id == full


class TestDemand:
    def test_it_comes_back_as_it_was_read_with_the_sources_name_in_its_keys(self, store: Store) -> None:
        tick_id = begun(store)
        tell(store, tick_id, "dirac", DEMAND)
        keyed = tuple(replace(item, key=f"dirac:{item.key}") for item in DEMAND.task_queues)
        assert told(store, tick_id) == TickDemand(replace(DEMAND, task_queues=keyed), {})

    def test_no_demand_is_another_thing_than_demand_that_could_not_be_read_or_was_not_asked_for(
        self, store: Store
    ) -> None:
        nothing, unknown, unasked = begun(store), begun(store), begun(store)
        tell(store, nothing, "dirac", Demand((), START))
        tell(store, unknown, "dirac", None, "the queue does not answer\x00")
        assert told(store, nothing) == TickDemand(Demand((), START), {})
        assert told(store, unknown) == TickDemand(None, {"dirac": "the queue does not answer\ufffd"})
        assert told(store, unasked) == TickDemand(None, {})

    def test_of_several_sources_it_is_all_that_could_be_read_as_old_as_its_oldest_part(self, store: Store) -> None:
        tick_id = begun(store)
        same_key = TaskQueue("17", Requirements(cpu_time=5), 3)
        tell(store, tick_id, "b", Demand((same_key,), START, 1))
        tell(store, tick_id, "a", Demand((same_key, replace(same_key, key="18")), LATER, 2))
        tell(store, tick_id, "c", None, "time-out")
        answer = told(store, tick_id)
        assert answer.errors == {"c": "time-out"}
        assert answer.demand is not None
        assert [queue.key for queue in answer.demand.task_queues] == ["a:17", "a:18", "b:17"]
        assert (answer.demand.jobs, answer.demand.unmatched, answer.demand.observed_at) == (9, 3, START)

    def test_told_again_the_last_word_counts(self, store: Store) -> None:
        tick_id, other = begun(store), begun(store)
        tell(store, other, "dirac", DEMAND)
        tell(store, tick_id, "dirac", None, "time-out")
        tell(store, tick_id, "dirac", Demand((), LATER))
        assert told(store, tick_id) == TickDemand(Demand((), LATER), {})
        assert told(store, other).demand is not None


class TestDecisions:
    def test_they_keep_numbers_and_reasons(self, store: Store) -> None:
        tick_id, other_tick = begun(store), begun(store)
        asked = Reason.of(ReasonCode.ASKED_FOR, vms=9)
        limit = Reason.of(ReasonCode.POD_LIMIT, count=3, limit=3)
        invalid = Reason.of(ReasonCode.INVALID, message="unknown key 'é'")
        record(store, other_tick, decision("p"))
        rows = record(
            store,
            tick_id,
            decision("q"),
            decision("p", "beta", asked, limit, invalid),
            decision("p"),
            demand_age=0.25,
        )
        with store.read() as session:
            assert session.get_one(TickRow, tick_id).planned_at == LATER
        assert [(row.pod, row.endpoint) for row in rows] == [("p", "alpha"), ("p", "beta"), ("q", "alpha")]
        assert [row.clipped_by for row in rows] == [None, ReasonCode.POD_LIMIT, None]
        row = rows[1]
        assert (row.jobs, row.waiting_cpu, row.active, row.in_flight) == (40, 10**15, 3, 2)
        assert (row.warranted, row.planned, row.launched, row.failed) == (9, 4, 0, 0)
        assert row.demand_age == 0.25
        assert row.reasons == [
            {"code": "asked_for", "parameters": {"vms": 9}, "sentence": "9 VMs were asked for by hand"},
            {"code": "pod_limit", "parameters": {"count": 3, "limit": 3}, "sentence": "the pod has 3 of at most 3 VMs"},
            {"code": "invalid", "parameters": {"message": "unknown key 'é'"}, "sentence": "unknown key 'é'"},
        ]

    def test_how_old_the_demand_was_may_be_unknown(self, store: Store) -> None:
        (row,) = record(store, begun(store), decision())
        assert row.demand_age is None

    def test_launches_are_counted_with_the_decision_that_they_came_from(self, store: Store) -> None:
        tick_id, other_tick = begun(store), begun(store)
        for id_ in (tick_id, other_tick):
            record(store, id_, decision("p"), decision("p", "beta"), decision("q"))
        with store.write() as session:
            ticks.count_launch(session, tick_id, "p", "alpha", launched=2, failed=0)
            ticks.count_launch(session, tick_id, "p", "alpha", launched=1, failed=4)
            ticks.count_launch(session, None, "p", "alpha", launched=9, failed=9)
        with store.read() as session:
            counted = [(row.launched, row.failed) for row in ticks.decisions(session, tick_id)]
            others = [(row.launched, row.failed) for row in ticks.decisions(session, other_tick)]
        assert counted == [(3, 4), (0, 0), (0, 0)]
        assert others == [(0, 0)] * 3


class TestOffers:
    def rows(self, store: Store) -> int:
        with store.read() as session:
            return session.scalars(select(func.count()).select_from(OfferRow)).one()

    def test_they_come_back_with_the_decisions_and_are_stored_once(self, store: Store) -> None:
        other = replace(OFFER, site="site-beta")
        offers = {("p", "alpha"): OFFER, ("q", "alpha"): OFFER, ("p", "beta"): other}
        decisions = [decision("p"), decision("q"), decision("p", "beta"), decision("bad", "")]
        for _ in range(2):
            rows = record(store, begun(store), *decisions, offers=offers)
            with store.read() as session:
                found = ticks.offers(session, rows)
            by_place = {(row.pod, row.endpoint): row.offer_id and found[row.offer_id] for row in rows}
            assert by_place == {**offers, ("bad", ""): None}
        assert self.rows(store) == 2
