"""Decisions filtered, sorted and cut into pages, and where VMs are."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.model.states import InstanceStatus
from vmdirac.store import endpoints, ticks
from vmdirac.store.database import Store
from vmdirac.store.scheduling_table import (
    DecisionSort,
    SourceCount,
    VmCount,
    all_endpoints,
    decisions_page,
    newest_tick,
    source_counts,
    vm_counts,
)


def decision(pod: str, endpoint: str, *reasons: Reason, jobs: int = 0, planned: int = 0) -> Decision:
    return Decision(pod, endpoint, jobs, 0, 0, 0, 0, planned, reasons)


INVALID = Reason.of(ReasonCode.INVALID, message="no connection")
HELD = Reason.of(ReasonCode.HELD, until="soon", kind="auth", message="refused")
FULL = Reason.of(ReasonCode.POD_LIMIT, count=1, limit=1)
OVER = Reason.of(ReasonCode.UNACTIVE, start="ever", end="2020-12-31")

DECISIONS = (
    decision("Atlas", "cern", jobs=1),
    decision("atlas", "a_b", OVER, jobs=7),
    decision("atlas", "aXb", jobs=5, planned=2),
    decision("belle", "cern", HELD, jobs=4),
    decision("belle", "lnf", FULL, jobs=3, planned=1),
    decision("cta", "", INVALID),
    decision("cta", "aws", jobs=2, planned=1),
)


@pytest.fixture
def tick(store: Store) -> int:
    """A tick with `DECISIONS`, one of whose launches failed, between two others."""
    with store.write() as session:
        made = [ticks.begin(session, START + timedelta(minutes=minute)) for minute in range(3)]
        for one, decided in zip(made, (DECISIONS[:1], DECISIONS, DECISIONS[:2]), strict=True):
            ticks.record_plan(session, one, decided, START, offers={}, demand_age=None)
        ticks.count_launch(session, made[1], "cta", "aws", launched=0, failed=1)
    return made[1]


def found(
    store: Store,
    tick: int,
    text: str = "",
    sort: DecisionSort = DecisionSort.ATTENTION,
    *,
    descending: bool = True,
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[tuple[str, str]], int]:
    with store.read() as session:
        rows, total = decisions_page(
            session, tick, text=text, sort=sort, descending=descending, limit=limit, offset=offset
        )
    return [(row.pod, row.endpoint) for row in rows], total


def test_what_needs_attention_comes_first(store: Store, tick: int) -> None:
    assert found(store, tick) == (
        [
            ("cta", ""),  # invalid
            ("belle", "cern"),  # held
            ("cta", "aws"),  # failed
            ("belle", "lnf"),  # clipped
            ("atlas", "aXb"),  # something starts
            ("Atlas", "cern"),
            ("atlas", "a_b"),  # as somebody wanted it
        ],
        7,
    )


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("ATLAS", {("Atlas", "cern"), ("atlas", "a_b"), ("atlas", "aXb")}),
        ("cern", {("Atlas", "cern"), ("belle", "cern")}),
        (" cern  bel ", {("belle", "cern")}),
        ("a_b", {("atlas", "a_b")}),
        ("%", set()),
    ],
)
def test_filtered_by_words_in_the_names(store: Store, tick: int, text: str, matching: set[tuple[str, str]]) -> None:
    rows, total = found(store, tick, text)
    assert set(rows) == matching
    assert total == len(matching)


def test_a_page_of_them(store: Store, tick: int) -> None:
    assert found(store, tick, limit=2, offset=2) == ([("cta", "aws"), ("belle", "lnf")], 7)
    assert found(store, tick, limit=2, offset=99) == ([], 7)


def test_sorted_by_a_number_by_name_among_equals(store: Store, tick: int) -> None:
    rows, _ = found(store, tick, sort=DecisionSort.PLANNED)
    assert rows[:3] == [("atlas", "aXb"), ("belle", "lnf"), ("cta", "aws")]
    rows, _ = found(store, tick, sort=DecisionSort.JOBS, descending=False)
    assert rows[:3] == [("cta", ""), ("Atlas", "cern"), ("cta", "aws")]


@pytest.mark.parametrize("sort", DecisionSort)
def test_every_column_can_be_sorted_by_and_no_row_is_lost_between_pages(
    store: Store, tick: int, sort: DecisionSort
) -> None:
    shown = [row for offset in (0, 3, 6) for row in found(store, tick, sort=sort, limit=3, offset=offset)[0]]
    assert sorted(shown) == sorted((item.pod, item.endpoint) for item in DECISIONS)


def test_where_vms_are(store: Store) -> None:
    with store.write() as session:
        for _ in range(2):
            add_instance(session, InstanceStatus.RUNNING, pod="a", endpoint="x")
        add_instance(session, InstanceStatus.NEW, pod="a", endpoint="x")
        add_instance(session, InstanceStatus.HALTED, pod="a", endpoint="x")
        add_instance(session, InstanceStatus.ERROR, pod="b", endpoint="x", vm_gone=True)
        add_instance(session, InstanceStatus.ERROR, pod="b", endpoint="x", vm_gone=False)
    with store.read() as session:
        counts = vm_counts(session)
    assert sorted(counts, key=lambda item: (item.pod, item.status)) == [
        VmCount("a", "x", InstanceStatus.NEW, 1),
        VmCount("a", "x", InstanceStatus.RUNNING, 2),
        VmCount("b", "x", InstanceStatus.ERROR, 2),
    ]


def test_what_the_job_sources_told(store: Store) -> None:
    queues = tuple(TaskQueue(str(number), Requirements(cpu_time=60), 10 * number) for number in (1, 2))
    with store.write() as session:
        tick = ticks.begin(session, START)
        ticks.put_demand(session, tick, "embedded", Demand(queues, START, unmatched=3))
        ticks.put_demand(session, tick, "dirac", None, "it did not answer")
    with store.read() as session:
        assert source_counts(session, tick) == [
            SourceCount("dirac", 0, 0, 0, None, "it did not answer"),
            SourceCount("embedded", 2, 30, 3, START, ""),
        ]


def test_the_newest_tick_is_the_last_that_began(store: Store) -> None:
    with store.read() as session:
        assert newest_tick(session) is None
    with store.write() as session:
        ticks.begin(session, START)
        ticks.begin(session, START, ordered_pod="a")
    with store.read() as session:
        newest = newest_tick(session)
        assert newest is not None
        assert (newest.ordered_pod, newest.planned_at) == ("a", None)


def test_all_endpoints_by_name(store: Store) -> None:
    with store.write() as session:
        endpoints.note_endpoints(session, ["b", "a/b:c+d"], START)
    with store.read() as session:
        assert [row.name for row in all_endpoints(session)] == ["a/b:c+d", "b"]
