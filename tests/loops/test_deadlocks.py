"""A loop that the database breaks off for another transaction's sake tries again, and does all of its work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.fixtures import on_servers
from tests.fakes.lock_waits import wait_until_somebody_waits
from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.tables import EndpointRow, RunningPodRow

pytestmark = pytest.mark.slow

Lock = Callable[[Session], object]


def break_off(store: Store, deed: Callable[[], object], *, its_first: Lock, its_second: Lock) -> None:
    """Do the deed while another transaction locks what the deed locks, in the opposite order.

    Databases let the heavier transaction live (MariaDB) or the one that began to wait last (PostgreSQL): the other one.
    But for a machine that is so slow that PostgreSQL looks for deadlocks before there is one; then it is this one that
    is broken off, which proves nothing and is no harm.
    """
    with ThreadPoolExecutor(1) as pool:
        with suppress(OperationalError), store.write() as other:
            other.add_all(EndpointRow(name=f"weight {number}", changed_at=START) for number in range(100))
            other.flush()
            its_second(other)
            done = pool.submit(deed)
            wait_until_somebody_waits(store)
            its_first(other)
        done.result()


def instance_lock(instance_id: int) -> Lock:
    return lambda session: instances.locked(session, instance_id)


def running(store: Store) -> tuple[World, list[FakeVm]]:
    """Two VMs that have called in and are idle."""
    world = World(store)
    world.submit(2)
    world.tick()
    world.clock.advance(minutes=1)
    vms = boot(world)
    world.clock.advance(minutes=6)
    return world, vms


def statuses(world: World) -> set[InstanceStatus]:
    return {item.status for item in world.instances()}


@on_servers
def test_reconciling(store: Store) -> None:
    world, vms = running(store)
    world.cloud.behaviour.remembers = True
    for vm in vms:
        vm.vanish()
    first, second = (instance_lock(vm.instance_id) for vm in vms)
    break_off(store, world.reconcile, its_first=first, its_second=second)
    assert statuses(world) == {InstanceStatus.HALTED}


@on_servers
def test_the_idle_sweep(store: Store) -> None:
    world, vms = running(store)
    for vm in vms:
        vm.heartbeat()
    first, second = (instance_lock(vm.instance_id) for vm in vms)
    break_off(store, world.sweep_idle, its_first=first, its_second=second)
    assert statuses(world) == {InstanceStatus.STOPPING}


@on_servers
def test_the_stalled_sweep(store: Store) -> None:
    world, vms = running(store)
    world.clock.advance(minutes=60)
    world.reconcile()
    first, second = (instance_lock(vm.instance_id) for vm in vms)
    break_off(store, world.sweep_stalled, its_first=first, its_second=second)
    assert statuses(world) == {InstanceStatus.STALLED}


@on_servers
def test_claiming_launches(store: Store) -> None:
    world = World(store)
    world.submit(2)
    world.plan()
    first, second = (instance_lock(item.id) for item in world.instances())
    break_off(store, world.launch, its_first=first, its_second=second)
    assert statuses(world) == {InstanceStatus.SUBMITTED}
    assert len(world.cloud.requests) == 2


@on_servers
def test_planning(store: Store) -> None:
    world = World(store, [a_pod("p", max_instances=1), a_pod("q", max_instances=1)], [an_endpoint()])
    world.plan()
    world.submit(2)
    tick_id = world.read_demand()

    def lock_of(pod: str) -> Lock:
        return lambda session: session.scalar(select(RunningPodRow).where(RunningPodRow.name == pod).with_for_update())

    break_off(store, lambda: world.plan(tick_id), its_first=lock_of("p"), its_second=lock_of("q"))
    assert sorted(item.pod for item in world.instances()) == ["p", "q"]
