"""What happened is counted once, whatever is tried again, dies or is committed late."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.configured import an_endpoint
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance
from tests.fakes.vm import boot
from tests.fakes.world import World
from vmdirac.loops import count as module
from vmdirac.loops.count import count
from vmdirac.loops.stop import stop
from vmdirac.model.errors import CapacityError, ErrorKind, ThrottleError, TransientError
from vmdirac.model.event import Event, EventKind
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.policy.cursor import PATIENCE
from vmdirac.store import counting, instances, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import TotalRow

LATER = START + timedelta(hours=1)


def totals(store: Store) -> dict[tuple[str, str], int]:
    """How much of each kind there is, in all hours and places."""
    found: dict[tuple[str, str], int] = {}
    with store.read() as session:
        for row in session.scalars(select(TotalRow)):
            found[row.kind, row.what] = found.get((row.kind, row.what), 0) + row.count
    return found


def stopped(session: Session, seconds: float = 60) -> int:
    """A VM that ran for so long, and is gone."""
    item = add_instance(session)
    instances.change(
        session,
        item,
        START + timedelta(seconds=seconds),
        "gone",
        to=InstanceStatus.HALTED,
        stop_reason=StopReason.REQUESTED,
    )
    return item.id


def test_it_is_told_once_and_stays_in_the_totals(store: Store) -> None:
    with store.write() as session:
        for _ in range(3):
            stopped(session)
    told: list[Event] = []
    assert count(store, LATER, told.append) == 6
    assert count(store, LATER, told.append) == 0
    assert [event.kind for event in told].count(EventKind.HALT) == 3
    assert totals(store) == {("halt", "requested"): 3, ("phase", "run"): 3}
    with store.read() as session:
        row = session.scalars(select(TotalRow).where(TotalRow.kind == "phase")).one()
    assert (row.hour, row.pod, row.endpoint) == (START.replace(minute=0, second=0, microsecond=0), "pod", "alpha")
    assert row.seconds == pytest.approx(180)


def test_an_hour_goes_on(store: Store) -> None:
    for number in range(3):
        with store.write() as session:
            stopped(session, 3600 if number == 2 else 60)
        count(store, LATER, lambda _: None)
    with store.read() as session:
        rows = session.scalars(select(TotalRow).where(TotalRow.kind == "halt").order_by(TotalRow.hour)).all()
    assert [row.count for row in rows] == [2, 1]


def test_in_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "AT_ONCE", 2)
    with store.write() as session:
        for _ in range(5):
            stopped(session)
    told: list[Event] = []
    monkeypatch.setattr(module, "BATCHES_AT_MOST", 2)
    count(store, LATER, told.append)
    assert len(told) == 4
    monkeypatch.setattr(module, "BATCHES_AT_MOST", 100)
    count(store, LATER, told.append)
    assert len(told) == 10
    assert totals(store) == {("halt", "requested"): 5, ("phase", "run"): 5}


def test_whoever_dies_while_telling_has_counted(store: Store) -> None:
    with store.write() as session:
        stopped(session)

    def die(event: Event) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        count(store, LATER, die)
    assert count(store, LATER, lambda _: None) == 0
    assert totals(store) == {("halt", "requested"): 1, ("phase", "run"): 1}


def test_a_transaction_that_fails_has_counted_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.write() as session:
        stopped(session)

    def fail(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(counting, "put_cursor", fail)
        with pytest.raises(ConnectionError):
            count(store, LATER, lambda _: None)
    assert totals(store) == {}
    assert count(store, LATER, lambda _: None) == 2


@on_servers
def test_what_is_committed_late_is_counted_all_the_same(store: Store) -> None:
    """On SQLite nobody else writes meanwhile."""
    with store.write() as late:
        stopped(late)
        late.flush()
        with store.write() as session:
            stopped(session)
        assert count(store, LATER, lambda _: None) == 2
    assert count(store, LATER + PATIENCE / 2, lambda _: None) == 2
    assert count(store, LATER + PATIENCE / 2, lambda _: None) == 0
    assert totals(store) == {("halt", "requested"): 2, ("phase", "run"): 2}


def test_ticks_are_counted_when_they_have_ended(store: Store) -> None:
    with store.write() as session:
        first, second = (ticks.begin(session, START) for _ in range(2))
        ticks.put_note(session, second, "", START + timedelta(seconds=5))
    told: list[Event] = []
    count(store, LATER, told.append)
    with store.write() as session:
        ticks.put_note(session, first, "", START + timedelta(seconds=9))
        ticks.put_note(session, second, "again", START + timedelta(seconds=99))
    for _ in range(2):
        count(store, LATER, told.append)
    assert [(event.kind, event.seconds) for event in told] == [(EventKind.TICK, 5), (EventKind.TICK, 9)]


def test_launches_and_refusals_of_a_real_tick(store: Store) -> None:
    world = World(store, endpoints=[an_endpoint(max_instances=4)])
    world.submit(4)
    world.cloud.fail("launch", None, CapacityError("no"), TransientError("time-out"), None)
    world.tick()
    assert count(store, LATER, lambda _: None) == 8
    assert totals(store) == {
        ("launch", ""): 2,
        ("phase", "launch"): 3,
        ("launch_failure", "capacity"): 1,
        ("launch_failure", "transient"): 1,
        ("tick", ""): 1,
    }


def test_what_the_cloud_took_and_could_not_start_is_counted_as_a_failed_launch(store: Store) -> None:
    world = World(store, endpoints=[an_endpoint(max_instances=3)])
    world.submit(3)
    world.tick()
    for machine in world.cloud.machines():
        world.cloud.fail_to_start(machine.cloud_id, ErrorKind.CAPACITY, "No valid host was found")
    for _ in range(2):
        world.clock.advance(minutes=1)
        world.reconcile()
    count(store, LATER, lambda _: None)
    found = totals(store)
    assert found["launch_failure", "capacity"] == found["launch", ""] == found["halt", "died"] == 3
    assert all(world.row(item.id).error_message == "No valid host was found" for item in world.instances())


def test_what_was_registered_and_died_is_no_failed_launch(store: Store) -> None:
    world = World(store)
    world.submit(1)
    world.tick()
    (vm,) = boot(world)
    world.cloud.fail_to_start(vm.cloud_id, ErrorKind.CAPACITY, "its host went down")
    for _ in range(2):
        world.clock.advance(minutes=30)
        world.reconcile()
    count(store, LATER, lambda _: None)
    assert ("launch_failure", "capacity") not in totals(store)
    assert totals(store)["halt", "died"] == 1


def test_a_delete_that_fails_is_no_failed_launch(store: Store) -> None:
    world = World(store, endpoints=[an_endpoint(max_instances=1)])
    world.submit(1)
    world.tick()
    [item] = world.instances()
    with store.write() as session:
        assert stop(session, item, StopReason.REQUESTED, "by a test", world.clock())
    world.clock.advance(seconds=1)
    world.cloud.fail("terminate", ThrottleError("slowly"))
    world.reconcile()
    count(store, LATER, lambda _: None)
    assert totals(store)["delete_failure", "throttle"] == 1
    assert ("launch_failure", "throttle") not in totals(store)
