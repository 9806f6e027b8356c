"""kill -9 at every single point: before each statement, before each commit, before and after each thing the cloud does.

Whatever was cut off, the next passes put it right: never a second VM, never one that nobody knows (invariant 1).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.crash_suite.kills import kill_at_each_point
from tests.crash_suite.points import Countdown, watch_statements
from tests.fakes.account import FileAccount
from tests.fakes.clock import Clock
from tests.fakes.cloud import Behaviour, FakeCloud, Fault
from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.vm import FakeVm
from tests.fakes.world import World
from vmdirac.model.cloud import CloudState, LaunchOutcome, LaunchRequest, TerminateOutcome
from vmdirac.model.errors import TransientError
from vmdirac.model.pod import DeadlineOverrides
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus
from vmdirac.store import installation, instances
from vmdirac.store.database import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ENDPOINTS = ("alpha", "beta")
JOBS = 4


class MortalCloud(FakeCloud):
    """A cloud whose caller may die before and after everything that it does."""

    def __init__(self, clock: Clock, account: FileAccount, behaviour: Behaviour, countdown: Countdown) -> None:
        super().__init__(clock, account, behaviour)
        self._countdown = countdown
        self.watch(lambda verb, _names: countdown(f"before {verb}"))

    def _launch_one(self, request: LaunchRequest) -> LaunchOutcome:
        outcome = super()._launch_one(request)
        self._countdown("after a launch")
        return outcome

    def _terminate_one(self, cloud_id: str) -> TerminateOutcome:
        outcome = super()._terminate_one(cloud_id)
        self._countdown("after a delete")
        return outcome


def open_world(folder: Path, clock: Clock, behaviour: Behaviour, countdown: Countdown | None = None) -> World:
    """The world whose database and clouds are in a folder; as a new process would find it."""
    store = Store(f"sqlite:///{folder / 'vmdirac.db'}")
    countdown = countdown or Countdown(None)
    watch_statements(store.engine, countdown, afterwards=False)
    # Nobody boots here for longer than a VM usually takes.
    pod = a_pod(endpoints=ENDPOINTS, deadlines=DeadlineOverrides(boot=timedelta(days=1)))
    return World(
        store,
        [pod],
        [an_endpoint(name) for name in ENDPOINTS],
        clouds={name: MortalCloud(clock, FileAccount(folder / name), behaviour, countdown) for name in ENDPOINTS},
        clock=clock,
        hearing=False,
    )


class Copies:
    """The same moment again and again, each time in a copy of a folder."""

    def __init__(self, template: Path, clock: Clock, behaviour: Behaviour) -> None:
        self._template, self._copy = template, template.with_name("copy")
        self._now = clock.now
        self._behaviour = behaviour

    def lay_out(self) -> None:
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._template, self._copy)

    def enter(self, countdown: Countdown | None) -> World:
        return open_world(self._copy, Clock(self._now), self._behaviour, countdown)


def points_made_good(ground: Copies, deed: Callable[[World], object], check: Callable[[World], None]) -> int:
    """How many points the deed has, after each of which all is made good."""
    kills = kill_at_each_point(ground, deed, check)
    assert not kills.failures, "\n".join(kills.failures)
    return kills.points


SETTLED = {InstanceStatus.SUBMITTED, InstanceStatus.HALTED}


def pass_time(world: World) -> None:
    """All loops, until nothing is on its way any more; a lost launch must have been found or repeated by then."""
    # VMs could call from now on: of those that do not, something can be concluded.
    installation.mark_hearing(world.store, world.clock())
    world.hearing = True
    for _ in range(9):
        world.clock.advance(minutes=3)
        world.tick()
        for name in ENDPOINTS:
            world.reconcile(name)
        world.sweep_stalled()
        if {item.status for item in world.instances()} <= SETTLED:
            return
    raise AssertionError(f"still on the way: {[item for item in world.instances() if item.status not in SETTLED]}")


def check_books(world: World) -> None:
    """Each VM has its row, and each row that says so has its VM."""
    machines = {
        (name, machine.cloud_id, machine.request.token)
        for name in ENDPOINTS
        for machine in world.clouds[name].machines()
    }
    rows = {(item.endpoint, item.cloud_id, item.launch_token) for item in world.instances(InstanceStatus.SUBMITTED)}
    assert machines == rows


@pytest.fixture
def template(sqlite_url: str, tmp_path: Path) -> Path:
    """A folder with an empty database."""
    folder = tmp_path / "template"
    folder.mkdir()
    (tmp_path / "vmdirac.db").rename(folder / "vmdirac.db")
    return folder


class TestTick:
    def check(self, world: World) -> None:
        pass_time(world)
        check_books(world)
        assert len(world.instances(InstanceStatus.SUBMITTED)) == JOBS, "as many VMs as jobs"
        asked: dict[str, LaunchRequest] = {}
        for cloud in world.clouds.values():
            with cloud.account.opened() as inventory:
                made = [machine.request for machine in inventory.machines.values()]
            for request in made + cloud.requests:
                assert asked.setdefault(request.token, request) == request, "the same bytes each time"

    def ground(self, template: Path, behaviour: Behaviour) -> Copies:
        clock = Clock()
        world = open_world(template, clock, behaviour)
        world.submit(JOBS)
        world.store.close()
        return Copies(template, clock, behaviour)

    def test_it_is_made_good_on_a_cloud_that_knows_tokens(self, template: Path) -> None:
        def check(world: World) -> None:
            self.check(world)
            assert sum(cloud.ever_made() for cloud in world.clouds.values()) == JOBS, "never a second VM"

        assert points_made_good(self.ground(template, Behaviour()), World.tick, check) > 60

    def test_it_is_made_good_on_a_cloud_that_does_not(self, template: Path) -> None:
        """Only its launches differ: everything before them is the same as above."""
        ground = self.ground(template, Behaviour(idempotent=False))

        def launch_only(world: World) -> None:
            for name in ENDPOINTS:
                world.launch(name)

        world = open_world(template, Clock(), Behaviour())
        world.plan()
        world.store.close()
        assert points_made_good(ground, launch_only, self.check) > 30


class TestReconcile:
    def test_it_is_made_good(self, template: Path) -> None:
        """A pass that adopts one VM, deletes two of which one has died, and finds one gone."""
        clock, behaviour = Clock(), Behaviour()
        world = open_world(template, clock, behaviour)
        world.submit(2 * JOBS)
        world.clouds["alpha"].fail("launch", Fault(TransientError("lost"), after=True))
        world.tick()
        clock.advance(minutes=1)
        lost, gone, dead, idle = world.instances()[:4]
        adopted, *vms = [FakeVm(world, machine) for machine in world.clouds["alpha"].machines()]
        self.prepare(world, vms)
        world.store.close()
        assert (lost.cloud_id, adopted.instance_id) == (None, lost.id)
        assert [vm.instance_id for vm in vms] == [gone.id, dead.id, idle.id]
        clock.advance(minutes=1)

        def check(world: World) -> None:
            with world.store.write() as session:
                # No new VMs for the jobs that go back to the queue: they would only hide what is looked at here.
                world.pods["pod"] = a_pod(endpoints=ENDPOINTS, max_instances=0)
                assert instances.get(session, lost.id) is not None
            pass_time(world)
            check_books(world)
            statuses = {item.id: item.status for item in world.instances()}
            assert statuses[lost.id] is InstanceStatus.SUBMITTED
            assert [statuses[item.id] for item in (gone, dead, idle)] == [InstanceStatus.HALTED] * 3
            assert world.job_counts() == {JobStatus.WAITING: 2 * JOBS}

        ground = Copies(template, clock, behaviour)
        assert points_made_good(ground, partial(World.reconcile, endpoint="alpha"), check) > 25

    def prepare(self, world: World, vms: Sequence[FakeVm]) -> None:
        """One VM has vanished with its job and was missed once, one has died with its job, one is empty."""
        gone, dead, idle = vms
        for vm in vms:
            vm.register()
            vm.heartbeat()
        assert gone.match()
        assert dead.match()
        with world.store.write() as session:
            assert instances.change(
                session,
                idle.instance,
                world.clock(),
                "drained",
                to=InstanceStatus.STOPPING,
                drain_phase=DrainPhase.EMPTY,
            )
        world.clouds["alpha"].set_state(gone.cloud_id, CloudState.TERMINATED)
        world.clouds["alpha"].set_state(dead.cloud_id, CloudState.STOPPED)
        world.clock.advance(minutes=4)
        with world.store.write() as session:
            instances.note_absent(session, [gone.instance])
