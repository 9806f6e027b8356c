"""What a loop costs the database does not grow with the VMs that it deals with."""

from __future__ import annotations

import pytest

from tests.fakes.cloud import Fault
from tests.fakes.fixtures import empty
from tests.fakes.round_trips import RoundTrips, counted
from tests.fakes.vm import boot
from tests.fakes.world import World
from vmdirac.loops.launch import BATCH, LaunchReport
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import CapacityError, ConfigError, TransientError
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus
from vmdirac.store import instances
from vmdirac.store.changes import Change, change_all
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow

FEW, MANY = 3, 25
assert MANY <= BATCH


class Costs:
    """What the same deed cost in a world of few VMs and in one of many."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: list[int] = []
        self._trips = RoundTrips()

    def world(self, number: int) -> World:
        """A world of its own, with so many jobs that wait."""
        empty(self._store)
        world = World(self._store)
        world.submit(number)
        return world

    def note(self, trips: RoundTrips) -> None:
        self._counts.append(trips.count)

    def check(self) -> None:
        few, many = self._counts
        assert many == few


@pytest.fixture
def costs(store: Store) -> Costs:
    return Costs(store)


def test_launches(store: Store, costs: Costs) -> None:
    for number in (FEW, MANY):
        world = costs.world(number)
        world.plan()
        with counted(store) as trips:
            assert world.launch() == LaunchReport(launched=number)
        costs.note(trips)
    costs.check()


@pytest.mark.parametrize(
    ("error", "report"),
    [(CapacityError, "refused"), (ConfigError, "refused"), (TransientError, "unknown")],
)
def test_launches_that_fail(store: Store, costs: Costs, error: type[Exception], report: str) -> None:
    for number in (FEW, MANY):
        world = costs.world(number)
        world.plan()
        with world.cloud.broken("launch", error("planned")), counted(store) as trips:
            assert world.launch() == LaunchReport(**{report: number})
        costs.note(trips)
    costs.check()


def test_launches_whose_answers_were_lost_are_adopted(store: Store, costs: Costs) -> None:
    for number in (FEW, MANY):
        world = costs.world(number)
        world.cloud.fail("launch", *[Fault(TransientError("lost"), after=True)] * number)
        world.tick()
        world.clock.advance(minutes=1)
        with counted(store) as trips:
            assert world.reconcile().adopted == number
        costs.note(trips)
        assert {len(world.history(item.id)) for item in world.instances()} == {4}
    costs.check()


def test_vms_that_are_gone_with_their_jobs(store: Store, costs: Costs) -> None:
    for number in (FEW, MANY):
        world = costs.world(number)
        world.cloud.behaviour.remembers = True
        world.tick()
        world.clock.advance(minutes=1)
        for vm in boot(world):
            assert vm.match()
            vm.vanish()
        world.clock.advance(minutes=1)
        with counted(store) as trips:
            assert world.reconcile().gone == number
        costs.note(trips)
        assert world.job_counts() == {JobStatus.WAITING: number}
    costs.check()


def test_vms_that_never_booted(store: Store, costs: Costs) -> None:
    for number in (FEW, MANY):
        world = costs.world(number)
        world.cloud.behaviour.remembers = True
        world.tick()
        world.clock.advance(minutes=1)
        for machine in world.cloud.machines():
            world.cloud.set_state(machine.cloud_id, CloudState.TERMINATED)
        with counted(store) as trips:
            assert world.reconcile().gone == number
        costs.note(trips)
    costs.check()


@pytest.mark.parametrize("works", [True, False], ids=["taken", "refused"])
def test_deletes(store: Store, costs: Costs, works: bool) -> None:
    for number in (FEW, MANY):
        world = costs.world(number)
        world.tick()
        boot(world)
        drained = {"drain_phase": DrainPhase.EMPTY, "phase_since": world.clock()}
        with store.write() as session:
            changes = [
                Change(item, "drained", InstanceStatus.STOPPING, drained) for item in instances.unfinished(session)
            ]
            assert len(change_all(session, changes, world.clock())) == number
        world.clock.advance(minutes=1)
        if not works:
            world.cloud.fail("terminate", *[TransientError("time-out")] * number)
        with counted(store) as trips:
            report = world.reconcile()
        assert (report.delete_asked, report.delete_failed) == ((number, 0) if works else (0, number))
        costs.note(trips)
    costs.check()


def test_strangers(store: Store, costs: Costs) -> None:
    # So many that nothing is deleted and an alert is raised.
    for number in (FEW + 1, MANY):
        world = costs.world(1)
        world.tick()
        request = world.cloud.requests[0]
        world.clock.advance(minutes=5)
        for stranger in range(number):
            world.cloud.make_by_hand(type(request)(f"{stranger:04x}", "by hand", "linux", "small", ""))
        with counted(store) as trips:
            assert world.reconcile().unknown == number
            world.clock.advance(minutes=1)
            assert world.reconcile().unknown == number
            for machine in world.cloud.machines():
                world.cloud.set_state(machine.cloud_id, CloudState.TERMINATED)
            assert world.reconcile().unknown == 0
        costs.note(trips)
    costs.check()
