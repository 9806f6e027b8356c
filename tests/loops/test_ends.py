"""What the end of a VM that nobody wanted says: scarce flavors, full clouds, quotas, and only then images that do not
boot."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.vm import boot
from tests.fakes.world import World
from vmdirac.manager.vm_messages import VmAction
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import ErrorKind
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.store import endpoints
from vmdirac.store.database import Store


def holds(world: World) -> list[Hold]:
    with world.store.read() as session:
        return endpoints.holds(session, world.clock())


def kinds(world: World) -> list[tuple[HoldKind, str, str]]:
    return [(hold.kind, hold.flavor, hold.message) for hold in holds(world)]


class TestInterruption:
    def test_a_vm_that_is_to_be_taken_back_drains_and_finishes_what_it_can(self, store: Store) -> None:
        world = World(store)
        world.submit(1)
        world.tick()
        (vm,) = boot(world)
        (job,) = vm.match()
        world.cloud.interrupt(vm.cloud_id)
        world.clock.advance(minutes=1)
        assert world.reconcile().interrupted == 1
        instance = vm.instance
        assert (instance.status, instance.drain_phase) == (InstanceStatus.STOPPING, DrainPhase.ASKED)
        assert (instance.stop_reason, instance.forced) == (StopReason.INTERRUPTED, False)
        assert vm.heartbeat().action is VmAction.DRAIN
        assert vm.match() == []
        assert vm.finish(job)
        vm.heartbeat()
        assert vm.instance.drain_phase is DrainPhase.EMPTY
        assert world.job_counts() == {JobStatus.DONE: 1}
        # It is asked once, however often the list shows it.
        world.clock.advance(minutes=1)
        assert world.reconcile().interrupted == 0

    def test_its_job_goes_to_another_vm_when_time_was_too_short(self, store: Store) -> None:
        world = World(store)
        world.submit(1)
        world.tick()
        (vm,) = boot(world)
        vm.match()
        world.cloud.interrupt(vm.cloud_id)
        world.clock.advance(minutes=1)
        world.reconcile()
        world.cloud.behaviour.remembers = True
        vm.vanish()
        world.clock.advance(minutes=1)
        world.reconcile()
        assert vm.instance.status is InstanceStatus.HALTED
        assert world.job_counts() == {JobStatus.WAITING: 1}

    def test_the_flavor_counts_as_scarce_and_nothing_as_broken(self, store: Store) -> None:
        world = World(store)
        world.submit(1)
        world.tick()
        (vm,) = boot(world)
        world.cloud.interrupt(vm.cloud_id, "no spot room")
        for _ in range(2):
            world.clock.advance(minutes=1)
            world.reconcile()
        assert kinds(world) == [(HoldKind.CAPACITY, "small", "no spot room")]
        assert holds(world)[0].since == world.clock() - timedelta(minutes=1), "each list would put it off again"

    def test_one_that_has_not_called_in_is_deleted_at_once(self, store: Store) -> None:
        world = World(store)
        world.submit(1)
        world.tick()
        (machine,) = world.cloud.machines()
        world.cloud.interrupt(machine.cloud_id)
        for _ in range(2):
            world.clock.advance(minutes=1)
            world.reconcile()
        assert world.cloud.machines() == []
        assert [kind for kind, *_ in kinds(world)] == [HoldKind.CAPACITY]

    @pytest.mark.parametrize("state", [CloudState.STOPPED, CloudState.TERMINATED])
    def test_one_that_was_taken_back_before_anybody_saw_it_coming(self, store: Store, state: CloudState) -> None:
        world = World(store)
        world.cloud.behaviour.remembers = True
        world.submit(1)
        world.tick()
        (vm,) = boot(world)
        world.cloud.interrupt(vm.cloud_id)
        world.cloud.set_state(vm.cloud_id, state)
        for _ in range(2):
            world.clock.advance(minutes=4)
            world.reconcile()
        assert vm.instance.status is InstanceStatus.HALTED
        assert vm.instance.stop_reason is (StopReason.INTERRUPTED if state is CloudState.STOPPED else None)
        assert [kind for kind, *_ in kinds(world)] == [HoldKind.CAPACITY]
        assert not world.row(vm.instance_id).console


class TestFaults:
    @pytest.mark.parametrize(
        ("fault", "kind", "flavor"),
        [
            (ErrorKind.CAPACITY, HoldKind.CAPACITY, "small"),
            (ErrorKind.QUOTA, HoldKind.QUOTA, ""),
            (ErrorKind.CONFIG, HoldKind.CONFIG, ""),
            (ErrorKind.TRANSIENT, HoldKind.BOOT, ""),
            (None, HoldKind.BOOT, ""),
        ],
    )
    def test_a_vm_that_the_cloud_could_not_start(
        self, store: Store, fault: ErrorKind | None, kind: HoldKind, flavor: str
    ) -> None:
        world = World(store)
        world.submit(1)
        world.tick()
        (machine,) = world.cloud.machines()
        world.cloud.fail_to_start(machine.cloud_id, fault, "as the cloud says")
        world.clock.advance(minutes=1)
        world.reconcile()
        ((found, narrowed, message),) = kinds(world)
        assert (found, narrowed) == (kind, flavor)
        assert "as the cloud says" in message
        # It goes, and its place is free again.
        world.clock.advance(minutes=1)
        world.reconcile()
        assert world.cloud.machines() == []
        assert world.instance().status is InstanceStatus.HALTED

    def test_what_finds_no_room_is_started_elsewhere(self, store: Store) -> None:
        world = World(store, [a_pod("p", ("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta", weight=0.5)])
        world.submit(1)
        world.tick()
        (machine,) = world.clouds["alpha"].machines()
        world.clouds["alpha"].fail_to_start(machine.cloud_id, ErrorKind.CAPACITY, "No valid host was found")
        world.clock.advance(minutes=1)
        world.reconcile("alpha")
        world.tick()
        assert len(world.clouds["beta"].machines()) == 1

    def test_a_vm_that_worked_is_no_failure_to_start(self, store: Store) -> None:
        world = World(store)
        world.submit(1)
        world.tick()
        (vm,) = boot(world)
        world.cloud.fail_to_start(vm.cloud_id, ErrorKind.CAPACITY, "the host died")
        world.clock.advance(minutes=1)
        world.reconcile()
        assert kinds(world) == []
