"""A tick is opened, and gets the demand of each source or why there is none; one cloud that fails stops no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.world import World
from vmdirac.loops.read_demand import DemandUnknownError, begin_tick, read_demand
from vmdirac.model.cloud import Shape
from vmdirac.model.decision import ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.errors import ConfigError, TransientError
from vmdirac.model.pod import BootSource
from vmdirac.model.requirements import Offer
from vmdirac.model.states import ImageStatus
from vmdirac.policy.plan import Order
from vmdirac.store import endpoints, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import ImageRow, TickRow
from vmdirac.store.ticks import TickDemand


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


def begin(world: World, run_id: str = "", order: Order | None = None) -> int:
    return begin_tick(world.store, world.clock(), run_id=run_id, order=order)


def read(world: World, tick_id: int, source: Source, name: str = "dirac") -> None:
    read_demand(world.store, world.configuration, world.cloud_of, name, source, tick_id, world.clock())


def told(world: World, tick_id: int) -> TickDemand:
    with world.store.read() as session:
        return ticks.demand_of(session, tick_id)


class TestBegin:
    def test_a_tick_says_of_which_run_it_is_and_what_was_asked_for(self, store: Store) -> None:
        world = World(store)
        ids = [
            begin(world, "scheduled__1"),
            begin(world, "manual__1", Order("pod", 3)),
            begin(world, "", Order("pod", None)),
        ]
        with store.read() as session:
            rows = [session.get_one(TickRow, id_) for id_ in ids]
        assert [(row.run_id, row.ordered_pod, row.ordered_vms) for row in rows] == [
            ("scheduled__1", "", None),
            ("manual__1", "pod", 3),
            ("", "pod", None),
        ]
        assert {row.began_at for row in rows} == {world.clock()}


class TestDemand:
    def test_the_source_is_asked_once_for_what_all_pods_offer_everywhere(self, store: Store) -> None:
        images = [an_image(by_endpoint=(("beta", BootSource("linux", "large")),))]
        world = World(store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta")], images)
        source = Source()
        read(world, begin(world), source)
        assert {(offer.site, offer.processors, offer.memory_mb) for offer in source.offers} == {
            ("site-alpha", 1, 2000),
            ("site-beta", 4, 8000),
        }

    def test_it_is_asked_for_an_image_in_error_too(self, store: Store) -> None:
        """What waits for it is to be seen all the same."""
        world = World(store)
        world.plan()
        with store.write() as session:
            session.scalars(select(ImageRow)).one().status = ImageStatus.ERROR
        source = Source()
        read(world, begin(world), source)
        assert len(source.offers) == 1

    def test_it_is_what_waits_now(self, store: Store) -> None:
        world = World(store)
        world.submit(3)
        world.submit(2, tags=("gpu",))
        answer = told(world, world.read_demand())
        assert answer.demand is not None
        assert (answer.demand.jobs, answer.demand.unmatched, answer.errors) == (3, 2, {})

    @pytest.mark.parametrize(
        ("error", "message"),
        [(TimeoutError("the queue does not answer"), "the queue does not answer"), (TimeoutError(), "TimeoutError")],
    )
    def test_a_source_that_fails_leaves_a_tick_that_says_so(self, store: Store, error: Exception, message: str) -> None:
        world = World(store)
        tick_id = begin(world)
        with pytest.raises(DemandUnknownError, match=f"the demand of dirac could not be read: {message}") as raised:
            read(world, tick_id, Source(error))
        assert raised.value.__cause__ is error
        assert told(world, tick_id) == TickDemand(None, {"dirac": message})

    def test_each_source_is_kept_on_its_own(self, store: Store) -> None:
        world = World(store)
        tick_id = begin(world)
        read(world, tick_id, Source(), "good")
        with pytest.raises(DemandUnknownError):
            read(world, tick_id, Source(TimeoutError("why")), "bad")
        assert told(world, tick_id) == TickDemand(Demand((), START), {"bad": "why"})


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

    def test_an_endpoint_that_does_not_answer_makes_the_tick_red_and_is_asked_but_once(self, store: Store) -> None:
        world = World(
            store,
            [a_pod("p", ("alpha", "beta")), a_pod("q", ("alpha",), image="large")],
            [an_endpoint("alpha"), an_endpoint("beta")],
            [an_image(), an_image("large", "large")],
        )
        world.submit(2)
        world.clouds["alpha"].fail("shape", TransientError("no route"), TransientError("no route"))
        with pytest.raises(ExceptionGroup) as raised:
            world.tick()
        assert [str(error) for error in raised.value.exceptions] == ["alpha: transient: no route"]
        assert [verb for verb, _ in world.clouds["alpha"].calls] == ["shape"]
        assert len(world.clouds["beta"].machines()) == 2

    def test_an_old_answer_is_better_than_none(self, store: Store) -> None:
        world = World(store)
        world.read_demand()
        world.clock.now += timedelta(days=2)
        world.submit(1)
        world.cloud.fail("shape", TransientError("no route"))
        world.tick()
        assert len(world.cloud.machines()) == 1
