"""How many VMs an endpoint starts in which time, over several ticks; and plans that run out of time."""

from __future__ import annotations

import pytest

from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.world import KEY, World, render
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.model.decision import ReasonCode
from vmdirac.model.errors import ConfigError
from vmdirac.policy.plan import Plan
from vmdirac.store import ticks
from vmdirac.store.database import Store


def started(world: World, ticks: int, seconds: float) -> list[int]:
    """How many VMs each of so many ticks starts."""
    found = []
    for _ in range(ticks):
        found.append(sum(report.launched + report.refused for report in world.tick().values()))
        world.clock.advance(seconds=seconds)
    return found


@pytest.mark.parametrize(
    ("rate", "seconds", "expected"),
    [
        (3.0, 20, [3, 0, 0, 3, 0, 0, 3, 0]),
        (3.0, 60, [3, 3, 3, 3]),
        (0.5, 60, [1, 0, 1, 0, 1]),
        (2.5, 30, [2, 0, 2, 0]),
    ],
)
def test_so_many_a_minute_in_whatever_rhythm_ticks_come(
    store: Store, rate: float, seconds: float, expected: list[int]
) -> None:
    world = World(store, endpoints=[an_endpoint(launch_rate=rate)])
    world.submit(50)
    assert started(world, len(expected), seconds) == expected


def test_pods_share_it_and_refused_launches_count(store: Store) -> None:
    world = World(store, [a_pod("p"), a_pod("q")], [an_endpoint(launch_rate=4.0)])
    world.submit(50)
    with world.cloud.broken("launch", ConfigError("no such image")):
        assert started(world, 2, 30) == [4, 0]


def test_another_endpoint_takes_what_is_left(store: Store) -> None:
    world = World(
        store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha", launch_rate=1.0), an_endpoint("beta")]
    )
    world.submit(10)
    reports = world.tick()
    assert {name: report.launched for name, report in reports.items()} == {"alpha": 1, "beta": 9}


def test_the_decision_says_so(store: Store) -> None:
    world = World(store, endpoints=[an_endpoint(launch_rate=2.0)])
    world.submit(5)
    tick_id = world.read_demand()
    world.plan(tick_id)
    with store.read() as session:
        (row,) = ticks.decisions(session, tick_id)
    assert (row.warranted, row.planned, row.clipped_by) == (5, 2, ReasonCode.LAUNCH_RATE)
    assert row.reasons[-1]["sentence"] == "the endpoint started 2 VMs in the last 1 minutes, of at most 2"


class TestTimeBudget:
    def plan(self, world: World, tick_id: int, vms: int) -> Plan:
        """A plan whose time is over after so many VMs."""
        asked = iter([False] * (vms - 1))
        return plan_and_reserve(
            world.store,
            world.configuration,
            tick_id,
            key=KEY,
            render=render,
            now=world.clock(),
            rng=world.rng,
            out_of_time=lambda: next(asked, True),
        )

    def test_what_was_planned_by_then_is_reserved_and_the_next_tick_goes_on(self, store: Store) -> None:
        world = World(store)
        world.submit(10)
        tick_id = world.read_demand()
        self.plan(world, tick_id, 4)
        assert len(world.instances()) == 4
        with store.read() as session:
            (row,) = ticks.decisions(session, tick_id)
        assert (row.warranted, row.planned, row.clipped_by) == (10, 4, ReasonCode.TIME_BUDGET)
        world.plan()
        assert len(world.instances()) == 10

    def test_urgent_pods_come_first(self, store: Store) -> None:
        world = World(store, [a_pod("p"), a_pod("urgent", priority=1.0)])
        world.submit(10)
        self.plan(world, world.read_demand(), 3)
        assert [item.pod for item in world.instances()] == ["urgent"] * 3
