"""A dry run says exactly what a tick at this moment would do, and does nothing."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.vm import boot
from tests.fakes.world import World, render
from vmdirac.config.loader import Configuration
from vmdirac.loops.dry_run import dry_run
from vmdirac.loops.read_demand import DemandUnknownError, EndpointsSilentError, begin_tick, read_demand
from vmdirac.model.contracts import JobSource
from vmdirac.model.decision import ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.errors import AuthError, CapacityError, TransientError
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.model.states import VmPolicy, VmStopPolicy
from vmdirac.policy.plan import Invalid, Order, Plan
from vmdirac.store.database import Store
from vmdirac.store.tables import Base

pytestmark = pytest.mark.slow


class Told:
    """A job source with one task queue, or one that fails."""

    def __init__(self, jobs: int = 0, error: Exception | None = None) -> None:
        self.jobs, self.error = jobs, error

    def task_queues(self, offers: Sequence[Offer]) -> Demand:
        if self.error:
            raise self.error
        return Demand((TaskQueue("1", Requirements(cpu_time=500), self.jobs),), START)


def everything(store: Store) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with store.read() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


class Sourced(World):
    """A world with job sources beside the embedded queue."""

    others: Mapping[str, JobSource] = {}

    def sources(self) -> dict[str, JobSource]:
        return {**super().sources(), **self.others}


def dry(world: World, order: Order | None = None) -> Plan:
    return dry_run(
        world.store,
        world.configuration,
        world.cloud_of,
        world.sources(),
        render=render,
        now=world.clock(),
        rng=random.Random(11),
        order=order,
    )


def really(world: World, order: Order | None = None) -> Plan:
    """What the tick of this very moment plans."""
    world.rng = random.Random(11)
    tick_id = begin_tick(world.store, world.clock(), order=order)
    for name, source in world.sources().items():
        with suppress(DemandUnknownError, EndpointsSilentError):
            read_demand(world.store, world.configuration, world.cloud_of, name, source, tick_id, world.clock())
    return world.plan(tick_id)


def busy(store: Store) -> World:
    """A world with a past: pods and endpoints of all kinds, VMs with and without jobs, failures of several kinds."""
    world = Sourced(
        store,
        [
            a_pod("p", ("alpha", "beta", "gamma"), revision="p1", max_instances=9),
            a_pod("q", ("alpha", "beta"), priority=2.0, max_instances=3),
            a_pod("kept", ("static",), max_instances=2),
            a_pod("later", campaign_start=START.date() + timedelta(days=1)),
        ],
        [
            an_endpoint("alpha", launch_rate=3.0, revision="e1"),
            an_endpoint("beta", max_launch_per_tick=2),
            an_endpoint("gamma"),
            an_endpoint("static", vm_policy=VmPolicy.STATIC, vm_stop_policy=VmStopPolicy.NEVER),
        ],
        [an_image(revision="i1")],
    )
    world.invalid = (Invalid("broken", "", "unknown key 'imge'"),)
    world.submit(4)
    world.clouds["alpha"].fail("launch", AuthError("no"))
    world.clouds["beta"].fail("launch", CapacityError("no room"))
    world.clouds["gamma"].fail("shape", TransientError("no route"))
    with pytest.raises(ExceptionGroup):
        world.tick()
    for vm in boot(world)[:2]:
        vm.match()
    world.clock.advance(minutes=1)
    world.submit(12)
    world.submit(3, tags=("gpu",))
    # Its hold is of another configuration now.
    world.endpoints["alpha"] = replace(world.endpoints["alpha"], revision="e2")
    return world


ORDERS = [None, Order("p"), Order("q", 3), Order("kept", 50)]


@pytest.mark.parametrize("order", ORDERS)
def test_it_says_what_the_tick_will_do(store: Store, order: Order | None) -> None:
    world = busy(store)
    expected = dry(world, order)
    assert expected.launches or order == Order("kept", 50)
    assert really(world, order) == expected


@pytest.mark.parametrize("order", ORDERS)
def test_it_writes_nothing_and_starts_nothing(store: Store, order: Order | None) -> None:
    world = busy(store)
    for cloud in world.clouds.values():
        cloud.calls.clear()
    before = everything(store)
    assert all(before[name] for name in ("vmdirac_ticks", "vmdirac_holds", "vmdirac_instances", "vmdirac_jobs"))
    dry(world, order)
    assert everything(store) == before
    calls = {verb for cloud in world.clouds.values() for verb, _ in cloud.calls}
    assert calls <= {"shape"}


def test_before_the_first_tick_it_asks_for_shapes_and_keeps_not_even_those(store: Store) -> None:
    world = World(store, hearing=False)
    world.submit(3)
    before = everything(store)
    expected = dry(world)
    assert [launch.count for launch in expected.launches] == [3]
    assert everything(store) == before
    assert world.cloud.calls == [("shape", ("small",))]
    assert really(world) == expected


def test_job_sources_are_told_apart_and_one_that_fails_is_named(store: Store) -> None:
    world = Sourced(store)
    world.submit(2)
    world.others = {"one": Told(3), "two": Told(4), "three": Told(error=TimeoutError())}
    expected = dry(world)
    (decision,) = expected.decisions
    assert decision.jobs == 2 + 3 + 4
    assert str(decision.reasons[0]) == "the demand of three could not be read: TimeoutError"
    assert really(world) == expected


def test_without_any_demand_that_is_what_it_says(store: Store) -> None:
    world = World(store)
    plan = dry_run(store, world.configuration, world.cloud_of, {}, render=render, now=world.clock(), rng=world.rng)
    (decision,) = plan.decisions
    assert [reason.code for reason in decision.reasons] == [ReasonCode.DEMAND_UNKNOWN]


def test_it_can_be_of_another_configuration(store: Store) -> None:
    world = World(store)
    world.submit(5)
    world.tick()
    changed = Configuration(
        {"new": a_pod("new", max_instances=2, priority=9.0)}, world.images, world.endpoints, (), (), True
    )
    world.submit(4)
    plan = dry_run(store, changed, world.cloud_of, world.sources(), render=render, now=world.clock(), rng=world.rng)
    assert [(launch.candidate.pod.name, launch.count) for launch in plan.launches] == [("new", 2)]
