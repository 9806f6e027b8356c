"""Lists that are empty all of a sudden, and complete."""

from __future__ import annotations

import pytest

from tests.fakes.vm import boot
from tests.fakes.world import World
from vmdirac.model.alert import AlertKind
from vmdirac.model.states import InstanceStatus
from vmdirac.store import alerts
from vmdirac.store.database import Store


def raised(world: World) -> list[str]:
    with world.store.read() as session:
        return [item.subject for item in alerts.open_of(session, AlertKind.MASS_ABSENCE)]


def test_nothing_is_gone_until_it_has_lasted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(store)
    world.submit(5)
    world.tick()
    world.clock.advance(minutes=3)
    world.reconcile()
    with monkeypatch.context() as patch:
        patch.setattr(world.cloud, "instances", lambda: iter(()))
        for _ in range(10):
            world.clock.advance(minutes=1)
            assert world.reconcile().gone == 0
            world.tick()
        assert raised(world) == ["alpha"]
    assert world.cloud.ever_made() == 5
    world.clock.advance(minutes=1)
    world.reconcile()
    assert raised(world) == []
    assert len(world.instances(InstanceStatus.SUBMITTED)) == 5


def test_what_has_lasted_is_believed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(store)
    world.submit(5)
    world.tick()
    world.clock.advance(minutes=3)
    monkeypatch.setattr(world.cloud, "instances", lambda: iter(()))
    gone = 0
    for _ in range(12):
        world.clock.advance(minutes=1)
        gone += world.reconcile().gone
    assert gone == 5
    assert len(world.instances(InstanceStatus.HALTED)) == 5


def test_vms_that_could_not_call_are_not_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that work, in an outage of ours."""
    world = World(store)
    world.submit(2)
    world.tick()
    vms = boot(world)
    for vm in vms:
        assert vm.match()
    world.hearing = False
    monkeypatch.setattr(world.cloud, "instances", lambda: iter(()))
    for _ in range(20):
        world.clock.advance(minutes=5)
        assert world.reconcile().gone == 0
    for vm in vms:
        assert vm.finish(vm.jobs[0])
