"""A tick is opened with the demand, or with why there is none; one cloud that fails stops no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.world import World
from vmdirac.loops.read_demand import read_demand
from vmdirac.model.cloud import Shape
from vmdirac.model.decision import ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.errors import ConfigError, TransientError
from vmdirac.model.pod import BootSource
from vmdirac.model.requirements import Offer
from vmdirac.store import endpoints, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import TickRow


class Source:
    """A job source that remembers what it was asked, and fails if told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.offers: list[Offer] = []

    def task_queues(self, offers: Sequence[Offer]) -> Demand:
        self.offers = list(offers)
        if self.error:
            raise self.error
        return Demand((), START)


def shapes(world: World) -> dict[tuple[str, str], Shape]:
    with world.store.read() as session:
        return endpoints.shapes(session, world.clock())


def tick(world: World, tick_id: int) -> TickRow:
    with world.store.read() as session:
        return session.get_one(TickRow, tick_id)


def read(world: World, source: Source, run_id: str = "") -> int:
    return read_demand(world.store, world.configuration, world.cloud_of, source, world.clock(), run_id)


def test_the_source_is_asked_once_for_what_all_pods_offer_everywhere(store: Store) -> None:
    images = [an_image(by_endpoint=(("beta", BootSource("linux", "large")),))]
    world = World(store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta")], images)
    source = Source()
    tick_id = read(world, source, "scheduled__1")
    assert {(offer.site, offer.processors, offer.memory_mb) for offer in source.offers} == {
        ("site-alpha", 1, 2000),
        ("site-beta", 4, 8000),
    }
    assert (tick(world, tick_id).run_id, tick(world, tick_id).began_at) == ("scheduled__1", world.clock())


def test_the_demand_is_what_waits_now(store: Store) -> None:
    world = World(store)
    world.submit(3)
    world.submit(2, tags=("gpu",))
    with store.read() as session:
        demand = ticks.demand_of(session, world.read_demand())
    assert demand is not None
    assert demand.jobs == 3


def test_a_source_that_fails_leaves_a_tick_that_says_so(store: Store) -> None:
    world = World(store)
    tick_id = read(world, Source(TimeoutError("the queue does not answer")))
    with store.read() as session:
        assert ticks.demand_of(session, tick_id) is None
    assert tick(world, tick_id).demand_error == "the queue does not answer"
    read(world, Source(TimeoutError()))


class TestShapes:
    def test_a_cloud_is_asked_for_a_flavor_once_a_day(self, store: Store) -> None:
        world = World(store)
        for _ in range(3):
            world.read_demand()
        assert world.cloud.calls == [("shape", ("small",))]
        world.clock.now += timedelta(days=1)
        world.read_demand()
        assert len(world.cloud.calls) == 2

    @pytest.mark.parametrize("error", [TransientError("no route"), ConfigError("gone"), RuntimeError("a driver's bug")])
    def test_an_endpoint_that_fails_stops_no_other(self, store: Store, error: Exception) -> None:
        world = World(store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta")])
        world.submit(2)
        world.clouds["alpha"].fail("shape", error)
        plan = world.plan()
        assert [(launch.candidate.endpoint.name, launch.count) for launch in plan.launches] == [("beta", 2)]
        (why,) = [decision for decision in plan.decisions if decision.endpoint == "alpha"]
        assert [reason.code for reason in why.reasons] == [ReasonCode.INVALID]
        assert "flavor 'small'" in str(why.reasons[0])
        world.read_demand()
        assert shapes(world).keys() == {("alpha", "small"), ("beta", "small")}, "it is asked again"

    def test_an_endpoint_whose_cloud_cannot_even_be_made_stops_no_other(self, store: Store) -> None:
        world = World(store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta")])
        del world.clouds["alpha"]
        world.read_demand()
        assert shapes(world).keys() == {("beta", "small")}
