"""VMs that never call in open the breaker of their pod on their endpoint; what merely was not visible yet does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.loops.launch import LaunchReport
from vmdirac.model.cloud import CloudState
from vmdirac.model.decision import ReasonCode
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.states import ImageStatus, InstanceStatus
from vmdirac.store import endpoints, pods
from vmdirac.store.boots import MAX_FAILURES
from vmdirac.store.database import Store
from vmdirac.store.tables import ImageRow

pytestmark = pytest.mark.slow


def launched(store: Store, vms: int = 1) -> World:
    world = World(store)
    world.submit(vms)
    assert world.tick() == {"alpha": LaunchReport(launched=vms)}
    return world


def breaker(world: World) -> Hold | None:
    with world.store.read() as session:
        found = [hold for hold in endpoints.holds(session, world.clock()) if hold.kind is HoldKind.BOOT]
    assert len(found) <= 1
    return found[0] if found else None


def image(world: World) -> ImageRow:
    with world.store.read() as session:
        return session.scalars(select(ImageRow)).one()


def set_state(world: World, state: CloudState, message: str = "") -> None:
    for machine in world.cloud.machines():
        machine.message = message
        world.cloud.set_state(machine.cloud_id, state)


def past_the_boot_deadline(world: World) -> None:
    world.clock.advance(minutes=15, seconds=1)
    world.reconcile()
    assert world.sweep_stalled().given_up == 1


def in_error_in_the_cloud(world: World) -> None:
    set_state(world, CloudState.ERROR, "No valid host was found")
    world.clock.advance(minutes=1)
    world.reconcile()


def terminated_before_it_called_in(world: World) -> None:
    world.cloud.behaviour.remembers = True
    set_state(world, CloudState.TERMINATED, "Client.InstanceInitiatedShutdown")
    world.clock.advance(minutes=1)
    world.reconcile()


def gone_after_it_was_seen(world: World) -> None:
    world.clock.advance(minutes=1)
    world.reconcile()
    set_state(world, CloudState.TERMINATED)
    for _ in range(2):
        world.clock.advance(seconds=121)
        world.reconcile()


FAILURES: list[tuple[Callable[[World], None], str]] = [
    (past_the_boot_deadline, "it did not call in before its boot deadline"),
    (in_error_in_the_cloud, "it is error in the cloud No valid host was found"),
    (terminated_before_it_called_in, "Client.InstanceInitiatedShutdown"),
    (gone_after_it_was_seen, "it was gone before it called in"),
]


@pytest.mark.parametrize(("fail", "message"), FAILURES)
def test_a_vm_that_never_boots_holds_the_launches_of_its_pod(
    store: Store, fail: Callable[[World], None], message: str
) -> None:
    world = launched(store)
    fail(world)
    hold = breaker(world)
    assert hold is not None
    assert (hold.pod, hold.endpoint, hold.message) == ("pod", "alpha", message)
    assert hold.until == world.clock() + timedelta(minutes=1)
    assert (image(world).status, image(world).failures) == (ImageStatus.NEW, 1)
    world.submit(3)
    assert world.tick() == {}
    world.clock.advance(minutes=1)
    assert world.tick() == {"alpha": LaunchReport(launched=1)}, "one tries"
    (vm,) = [FakeVm(world, machine) for machine in world.cloud.machines() if machine.launched_at == world.clock()]
    vm.register()
    assert breaker(world) is None
    assert image(world).status is ImageStatus.VALIDATED


def test_a_vm_that_no_list_ever_showed_is_no_failure(store: Store) -> None:
    world = launched(store)
    world.cloud.behaviour.visible_after = timedelta(hours=9)
    for _ in range(3):
        world.clock.advance(seconds=121)
        world.reconcile()
    assert world.instance().status is InstanceStatus.HALTED
    assert breaker(world) is None
    assert image(world).failures == 0


@pytest.mark.parametrize("fail", [in_error_in_the_cloud, terminated_before_it_called_in, gone_after_it_was_seen])
def test_a_vm_that_had_called_in_did_boot(store: Store, fail: Callable[[World], None]) -> None:
    world = launched(store)
    boot(world)
    # As long as it calls, the cloud is not believed that it failed.
    world.clock.advance(minutes=4)
    fail(world)
    assert world.instance().status in {InstanceStatus.STOPPING, InstanceStatus.HALTED}
    assert breaker(world) is None
    assert image(world).status is ImageStatus.VALIDATED


def test_vms_of_one_burst_are_one_failure(store: Store) -> None:
    world = launched(store, 4)
    in_error_in_the_cloud(world)
    hold = breaker(world)
    assert hold is not None
    assert (hold.failures, image(world).failures) == (1, 1)


def test_a_pod_whose_image_never_boots_is_given_up_with_few_vms_started(store: Store) -> None:
    world = World(store)
    world.submit(50)
    started = 0
    for _ in range(40):
        started += sum(report.launched for report in world.tick().values())
        set_state(world, CloudState.ERROR)
        world.clock.advance(minutes=1)
        world.reconcile()
    assert image(world).status is ImageStatus.ERROR
    assert started == 50 + MAX_FAILURES - 1, "the first burst, and then one at a time"
    assert world.cloud.machines() == []
    (decision,) = world.plan().decisions
    assert decision.clipped_by is ReasonCode.INVALID
    assert str(decision.reasons[0]).startswith("image 'worker' is in Error: none of its VMs ever booted, in 5 tries")
    world.clock.advance(minutes=30)
    with store.write() as session:
        assert pods.reset_image(session, "worker", world.clock())
    assert world.tick() == {"alpha": LaunchReport(launched=1)}, "a person may let it be tried again, one VM at a time"
