"""Quota and use of an account, minus what is ours, bound what is planned."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest

from tests.fakes.cloud import FakeCloud
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.rows import instance_row
from tests.fakes.world import World
from vmdirac.loops.account_limits import ASKED_EVERY, kinds_on, read_account_limits
from vmdirac.model.account import AccountLimit, Measure
from vmdirac.model.cloud import CloudLimits, LaunchRequest, VmKind
from vmdirac.model.decision import ReasonCode
from vmdirac.model.errors import AuthError
from vmdirac.model.states import InstanceStatus
from vmdirac.store import accounts
from vmdirac.store.database import Store


def a_world(store: Store, *, limit: int, others: int) -> World:
    """One account that another installation uses too."""
    world = World(store)
    world.cloud.behaviour.max_machines = limit
    neighbour = FakeCloud(world.clock, world.cloud.account, world.cloud.behaviour, "theirs")
    for number in range(others):
        neighbour.make_by_hand(LaunchRequest(f"0{number}", f"n{number}", "linux", "small", "…"))
    world.reconcile()
    return world


def read(world: World) -> None:
    kinds = kinds_on(world.configuration, "alpha")
    read_account_limits(world.store, world.cloud, "alpha", kinds, world.clock)


def known(world: World) -> dict[str, tuple[AccountLimit, ...]]:
    with world.store.read() as session:
        return accounts.limits(session, world.clock())


class TestReading:
    def test_what_is_used_and_not_ours_is_others(self, store: Store) -> None:
        world = a_world(store, limit=10, others=3)
        world.submit(2)
        world.tick()
        world.clock.advance(minutes=1)
        read(world)
        assert known(world) == {"alpha": (AccountLimit(Measure.INSTANCES, 10, 3),)}

    def test_what_was_reserved_and_not_asked_for_yet_is_not_taken_out_of_what_others_use(self, store: Store) -> None:
        world = a_world(store, limit=10, others=3)
        world.submit(2)
        world.plan()
        world.clock.advance(seconds=1)
        read(world)
        assert known(world)["alpha"][0].others == 3

    def test_clouds_are_asked_every_few_minutes_only(self, store: Store) -> None:
        world = a_world(store, limit=10, others=0)
        read(world)
        world.cloud.behaviour.max_machines = 20
        world.clock.advance(seconds=ASKED_EVERY.total_seconds() - 1)
        read(world)
        assert known(world)["alpha"][0].limit == 10
        world.clock.advance(seconds=1)
        read(world)
        assert known(world)["alpha"][0].limit == 20

    def test_a_cloud_that_does_not_tell_stops_nothing_and_is_asked_again(self, store: Store) -> None:
        world = a_world(store, limit=10, others=3)
        with world.cloud.broken("limits", AuthError("not for you")):
            read(world)
        assert known(world) == {}
        read(world)
        assert known(world)["alpha"][0].others == 3

    def test_it_is_asked_for_what_its_vms_are_too(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        world = a_world(store, limit=10, others=0)
        with store.write() as session:
            session.add(instance_row(flavor="huge", max_allowed_price=0.25))
            session.add(instance_row(InstanceStatus.HALTED, flavor="gone"))
            session.add(instance_row(endpoint="beta", flavor="elsewhere"))
        asked: list[VmKind] = []

        def limits(kinds: Collection[VmKind]) -> CloudLimits:
            asked.extend(kinds)
            return CloudLimits()

        monkeypatch.setattr(world.cloud, "limits", limits)
        read(world)
        assert set(asked) == {VmKind("small"), VmKind("huge", 0.25)}

    def test_it_is_asked_for_what_its_vms_may_be(self, store: Store) -> None:
        pods = [
            a_pod("p", ("alpha", "beta")),
            a_pod("q", ("alpha",), image="large", max_allowed_price=0.5),
            a_pod("r", ("beta",), image="large"),
            a_pod("s", ("alpha",), image="nowhere"),
        ]
        images = [an_image(), an_image("large", "large")]
        world = World(store, pods, [an_endpoint("alpha"), an_endpoint("beta")], images)
        assert kinds_on(world.configuration, "alpha") == {VmKind("small"), VmKind("large", 0.5)}


class TestPlanning:
    def test_no_more_is_planned_than_others_leave(self, store: Store) -> None:
        world = a_world(store, limit=5, others=3)
        read(world)
        world.submit(10)
        (decision,) = world.plan().decisions
        assert (decision.planned, decision.clipped_by) == (2, ReasonCode.ACCOUNT_LIMIT)
        assert "the account may have 5 VMs: 2 are ours, planned ones included, and 3 others'" in [
            str(reason) for reason in decision.reasons
        ]

    def test_limits_that_are_too_old_bind_nothing(self, store: Store) -> None:
        world = a_world(store, limit=5, others=3)
        read(world)
        world.clock.now += timedelta(hours=2)
        world.submit(10)
        (decision,) = world.plan().decisions
        assert decision.planned == 10
