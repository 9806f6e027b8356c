"""When many VMs fall silent together none of them is given up, and somebody is told (invariant 5)."""

from __future__ import annotations

from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.loops.sweeps import StalledReport
from vmdirac.model.alert import AlertKind
from vmdirac.model.states import InstanceStatus
from vmdirac.store import alerts
from vmdirac.store.database import Store


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


def test_few_are_given_up_as_ever(store: Store) -> None:
    world = World(store)
    vms = fleet(world, 10)
    reports = hours_pass(world, vms[2:])
    assert sum(report.stalled for report in reports) == 2
    assert sum(report.given_up for report in reports) == 2
    assert raised(world) == []
