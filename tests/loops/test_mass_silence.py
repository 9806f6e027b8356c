"""When many VMs fall silent together none of them is given up, and somebody is told (invariant 5)."""

from __future__ import annotations

import pytest

from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.loops.sweeps import StalledReport
from vmdirac.model.alert import AlertKind
from vmdirac.model.states import InstanceStatus
from vmdirac.store import alerts
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow


def fleet(world: World, number: int) -> list[FakeVm]:
    world.submit(number)
    world.tick()
    vms = boot(world)
    for vm in vms:
        assert vm.match(1)
        vm.heartbeat()
    return vms


def hours_pass(world: World, calling: list[FakeVm], hours: int = 3) -> list[StalledReport]:
    """Time passes with all sweeps running, and only these VMs call."""
    reports = []
    for _ in range(hours * 12):
        world.clock.advance(minutes=4)
        world.reconcile()
        world.clock.advance(minutes=1)
        for vm in calling:
            vm.heartbeat()
        reports.append(world.sweep_stalled())
    return reports


def raised(world: World) -> list[str]:
    with world.store.read() as session:
        return [item.subject for item in alerts.open_alerts(session) if item.kind is AlertKind.MASS_SILENCE]


def test_nothing_is_given_up_while_many_are_silent(store: Store) -> None:
    world = World(store)
    vms = fleet(world, 10)
    reports = hours_pass(world, vms[3:])
    assert sum(report.stalled + report.given_up for report in reports) == 0
    assert raised(world) == ["alpha"]
    assert len(world.instances(InstanceStatus.RUNNING)) == 10
    assert len(world.cloud.machines()) == 10
    for vm in vms:
        vm.heartbeat()
    world.sweep_stalled()
    assert raised(world) == []


def test_their_jobs_stay_theirs_and_nothing_is_started_in_their_place(store: Store) -> None:
    """The network fails for an hour, as their calls were spread over their period."""
    world = World(store)
    vms = fleet(world, 10)
    for vm in vms:
        world.clock.advance(seconds=6)
        vm.heartbeat()
    for _ in range(60):
        world.clock.advance(minutes=1)
        world.reconcile()
        assert world.sweep_stalled().jobs_taken_back == 0
        world.tick()
    assert world.cloud.ever_made() == 10
    # Nine of them come back: the last one has its whole lease once more.
    for vm in vms[1:]:
        assert vm.heartbeat().lost_leases == []
    world.clock.advance(minutes=2)
    assert world.sweep_stalled().jobs_taken_back == 0
    assert raised(world) == []
    assert vms[0].heartbeat().lost_leases == []
    for vm in vms:
        assert vm.finish(vm.jobs[0])


def test_free_vms_that_fell_silent_together_are_not_replaced(store: Store) -> None:
    world = World(store)
    vms = fleet(world, 5)
    for vm in vms:
        vm.finish(vm.jobs[0])
        vm.heartbeat()
    world.clock.advance(minutes=4)
    world.submit(5)
    world.reconcile()
    world.tick()
    assert world.cloud.ever_made() == 5


def test_few_are_given_up_as_ever(store: Store) -> None:
    world = World(store)
    vms = fleet(world, 10)
    reports = hours_pass(world, vms[2:])
    assert sum(report.stalled for report in reports) == 2
    assert sum(report.given_up for report in reports) == 2
    assert raised(world) == []
