"""Many changes at once are the same as one after the other, and cost no more statements than a few."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.fakes.lock_waits import wait_until_somebody_waits
from tests.fakes.round_trips import counted
from tests.fakes.rows import add_instance
from vmdirac.model.cloud import CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.model.transitions import TransitionNotPermittedError
from vmdirac.store import changes, instances
from vmdirac.store.changes import AT_ONCE, Change, change_all, change_those_that_can_be
from vmdirac.store.database import Store
from vmdirac.store.tables import HistoryRow, InstanceRow

pytestmark = pytest.mark.slow

LATER = START + timedelta(minutes=7)


def made(store: Store, number: int, status: InstanceStatus = InstanceStatus.NEW, **fields: Any) -> list[Instance]:
    with store.write() as session:
        return [add_instance(session, status, **fields) for _ in range(number)]


def now(store: Store, items: Sequence[Instance]) -> list[Instance]:
    """The same instances as they are now."""
    with store.read() as session:
        found = [instances.get(session, item.id) for item in items]
    return [item for item in found if item is not None]


def lines(store: Store, item: Instance) -> list[str]:
    with store.read() as session:
        return [line.reason for line in instances.history(session, item.id)]


def adoption(item: Instance, **values: Any) -> Change:
    default: dict[str, Any] = {"cloud_id": f"vm-{item.id}", "private_ip": f"10.0.0.{item.id % 250}", "absences": 0}
    return Change(item, f"adopted: vm-{item.id}", InstanceStatus.SUBMITTED, {**default, **values})


class TestAll:
    def test_each_gets_its_own_values_and_its_own_line(self, store: Store) -> None:
        before = made(store, 3, absences=1)
        (running,) = made(store, 1, InstanceStatus.RUNNING)
        stop = Change(running, "given up", InstanceStatus.STOPPING, {"forced": True, "stop_reason": StopReason.STALLED})
        with store.write() as session:
            assert change_all(session, [stop, *map(adoption, before)], LATER) == {
                running.id,
                *(item.id for item in before),
            }
        *adopted, stopped = now(store, [*before, running])
        assert adopted == [
            replace(
                item,
                status=InstanceStatus.SUBMITTED,
                cloud_id=f"vm-{item.id}",
                private_ip=f"10.0.0.{item.id % 250}",
                absences=0,
                version=item.version + 1,
                status_since=LATER,
                changed_at=LATER,
            )
            for item in before
        ]
        assert (stopped.status, stopped.forced, stopped.stop_reason) == (
            InstanceStatus.STOPPING,
            True,
            StopReason.STALLED,
        )
        for item in before:
            assert lines(store, item) == ["made by a test", f"adopted: vm-{item.id}"]
        assert lines(store, running) == ["made by a test", "given up"]

    def test_values_of_every_kind_arrive(self, store: Store) -> None:
        """Unlike ones, so that each is looked up by its row's id, and none beside some."""
        one, two, three = made(store, 3, InstanceStatus.RUNNING)
        different: list[dict[str, Any]] = [
            {"delete_asked_at": START, "cloud_state": CloudState.ERROR, "drain_phase": None, "load": 1.5},
            {"delete_asked_at": LATER, "cloud_state": None, "drain_phase": DrainPhase.EMPTY, "load": 0.0},
            {"delete_asked_at": None, "cloud_state": CloudState.RUNNING, "drain_phase": None, "load": 2.0},
        ]
        more = [{"error_message": text, "suspicious": bool(text)} for text in ("é漢🚀\x00'", "%s :x \\", "")]
        with store.write() as session:
            wanted = [
                Change(item, f"r{item.id}", values={**values, **other})
                for item, values, other in zip((one, two, three), different, more, strict=True)
            ]
            assert len(change_all(session, wanted, LATER)) == 3
        with store.read() as session:
            rows = [session.get_one(InstanceRow, item.id) for item in (one, two, three)]
        assert [{name: getattr(row, name) for name in different[0]} for row in rows] == different
        assert [row.error_message for row in rows] == ["é漢🚀\ufffd'", "%s :x \\", ""]
        assert [row.suspicious for row in rows] == [True, True, False]

    def test_the_line_shows_the_state_as_it_is_after_the_change(self, store: Store) -> None:
        before = made(store, 2, InstanceStatus.RUNNING, load=1.25, jobs=3, transferred_bytes=2**50)
        with store.write() as session:
            values = {"jobs": 0, "drain_phase": DrainPhase.DELETING}
            change_all(session, [Change(item, "r", InstanceStatus.STOPPING, values) for item in before], LATER)
        for item in before:
            with store.read() as session:
                line = instances.history(session, item.id)[-1]
            assert (line.status, line.drain_phase, line.at) == (
                InstanceStatus.STOPPING,
                DrainPhase.DELETING,
                LATER,
            )
            assert (line.load, line.jobs, line.transferred_bytes) == (1.25, 0, 2**50)

    @pytest.mark.parametrize(
        "stale",
        [{"version": 7}, {"status": InstanceStatus.SUBMITTED}, {"id": 10**9}],
        ids=lambda stale: next(iter(stale)),
    )
    def test_what_somebody_else_changed_stays_and_the_others_are_changed(
        self, store: Store, stale: dict[str, Any]
    ) -> None:
        first, middle, last = made(store, 3, InstanceStatus.RUNNING)
        old = replace(middle, **stale)
        with store.write() as session:
            wanted = [Change(item, "r", InstanceStatus.STOPPING) for item in (first, old, last)]
            assert change_all(session, wanted, LATER) == {first.id, last.id}
        assert now(store, [middle]) == [middle]
        assert lines(store, middle) == ["made by a test"]
        assert lines(store, last) == ["made by a test", "r"]

    def test_one_step_that_does_not_exist_stops_all(self, store: Store) -> None:
        (running,), (halted,) = made(store, 1, InstanceStatus.RUNNING), made(store, 1, InstanceStatus.HALTED)
        with pytest.raises(TransitionNotPermittedError), store.write() as session:
            change_all(session, [Change(item, "r", InstanceStatus.STOPPING) for item in (running, halted)], LATER)
        assert now(store, [running]) == [running]

    def test_none_are_nothing_to_do(self, store: Store) -> None:
        with store.write() as session, counted(store) as trips:
            assert change_all(session, [], LATER) == set()
        assert trips.count == 0

    def test_the_statements_are_as_many_for_many_as_for_two(self, store: Store) -> None:
        counts = []
        for number in (2, 60):
            before = made(store, number)
            with store.write() as session, counted(store) as trips:
                assert len(change_all(session, [adoption(item) for item in before], LATER)) == number
            counts.append(trips.count)
        assert counts == [3, 3], "lock, update, history"

    def test_more_than_one_statement_takes_are_done_in_parts(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(changes, "AT_ONCE", 4)
        before = made(store, 9)
        with store.write() as session, counted(store) as trips:
            assert len(change_all(session, [adoption(item) for item in before], LATER)) == 9
            instances.note_seen(session, [{"id": item.id, "seen_at": LATER} for item in before])
        assert trips.count == 3 * 3 + 3
        assert {item.seen_at for item in now(store, before)} == {LATER}

    def test_as_many_as_there_may_be_at_once(self, store: Store) -> None:
        before = made(store, AT_ONCE)
        with store.write() as session:
            assert len(change_all(session, [adoption(item) for item in before], LATER)) == AT_ONCE
        with store.read() as session:
            assert len(instances.unfinished(session)) == AT_ONCE
            found = session.execute(select(InstanceRow.id, InstanceRow.cloud_id)).all()
        assert {row.cloud_id for row in found} == {f"vm-{row.id}" for row in found}


class TestThoseThatCanBe:
    def test_what_the_database_refuses_comes_back_and_the_others_are_changed(self, store: Store) -> None:
        before = made(store, 5)
        made(store, 1, InstanceStatus.HALTED, cloud_id="taken")
        wanted = [adoption(item) for item in before]
        wanted[3] = adoption(before[3], cloud_id="taken")
        with store.write() as session:
            changed, refused = change_those_that_can_be(session, wanted, LATER)
        assert changed == {item.id for item in before} - {before[3].id}
        assert refused == [wanted[3]]
        assert now(store, [before[3]]) == [before[3]]
        assert lines(store, before[3]) == ["made by a test"]
        for item in (*before[:3], before[4]):
            assert lines(store, item)[1:] == [f"adopted: vm-{item.id}"]

    def test_two_that_want_the_same_id_do_not_both_get_it(self, store: Store) -> None:
        before = made(store, 2)
        with store.write() as session:
            changed, refused = change_those_that_can_be(
                session, [adoption(item, cloud_id="one") for item in before], LATER
            )
        assert (changed, [item.instance.id for item in refused]) == ({before[0].id}, [before[1].id])

    @on_servers  # SQLite takes any length
    def test_an_id_that_is_too_long_comes_back(self, store: Store) -> None:
        before = made(store, 2)
        with store.write() as session:
            changed, refused = change_those_that_can_be(
                session, [adoption(before[0], cloud_id="x" * 300), adoption(before[1])], LATER
            )
        assert (changed, [item.instance for item in refused]) == ({before[1].id}, [before[0]])

    def test_one_that_is_refused_costs_few_more_statements(self, store: Store) -> None:
        made(store, 1, InstanceStatus.HALTED, cloud_id="taken")
        before = made(store, 64)
        wanted = [adoption(item) for item in before[:-1]] + [adoption(before[-1], cloud_id="taken")]
        with store.write() as session, counted(store) as trips:
            changed, _ = change_those_that_can_be(session, wanted, LATER)
        assert len(changed) == 63
        assert trips.count < 64

    def test_all_at_once_does_not_hide_it(self, store: Store) -> None:
        made(store, 1, InstanceStatus.HALTED, cloud_id="taken")
        (before,) = made(store, 1)
        with pytest.raises(IntegrityError), store.write() as session:
            change_all(session, [adoption(before, cloud_id="taken")], LATER)
        assert now(store, [before]) == [before]


def stop_all(session: Session, items: Sequence[Instance], by: str, at: datetime = LATER) -> set[int]:
    return change_all(session, [Change(item, by, InstanceStatus.STOPPING) for item in items], at)


@on_servers
def test_one_that_is_being_changed_is_waited_for_and_then_left_alone(store: Store) -> None:
    """Compared is what is there once the lock is had, not what was there before."""
    before = made(store, 3, InstanceStatus.RUNNING)
    with ThreadPoolExecutor(1) as pool:
        with store.write() as session:
            assert instances.change(session, before[1], LATER, "by another", to=InstanceStatus.STALLED)
            stopped = pool.submit(store.transact, partial(stop_all, items=before, by="by the sweep"))
            wait_until_somebody_waits(store)
        assert stopped.result() == {before[0].id, before[2].id}
    assert lines(store, before[1])[1:] == ["by another"]
    assert now(store, before)[1].status is InstanceStatus.STALLED


@pytest.mark.slow
def test_of_many_that_change_the_same_rows_at_once_each_row_has_one_winner(store: Store) -> None:
    """In different orders, which would be deadlocks if the rows were not locked in the order of their ids."""
    workers, rows = 6, 12
    for _ in range(5):
        before = made(store, rows, InstanceStatus.RUNNING)
        deeds: list[Callable[[Session], set[int]]] = [
            partial(stop_all, items=before[:: -1 if number % 2 else 1], by=f"by {number}") for number in range(workers)
        ]
        with ThreadPoolExecutor(workers) as pool:
            won = list(pool.map(store.transact, deeds))
        assert sorted(id_ for ids in won for id_ in ids) == [item.id for item in before]
        with store.read() as session:
            for number, ids in enumerate(won):
                written = select(HistoryRow.instance_id).where(HistoryRow.instance_id.in_(ids)).distinct()
                assert set(session.scalars(written.where(HistoryRow.reason == f"by {number}"))) == ids
        assert {item.version for item in now(store, before)} == {before[0].version + 1}
