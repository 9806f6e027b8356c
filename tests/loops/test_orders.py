"""What somebody asks for by hand: one pod, or a number of its VMs."""

from __future__ import annotations

from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.world import World
from vmdirac.model.decision import ReasonCode
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.policy.plan import Order
from vmdirac.store import endpoints, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import DecisionRow


def two_pods(store: Store) -> World:
    return World(store, [a_pod("p", max_instances=4), a_pod("q", priority=9.0)], [an_endpoint(max_instances=6)])


def ordered(world: World, pod: str, vms: int | None = None) -> list[DecisionRow]:
    """Plan a tick with this order; its decisions."""
    tick_id = world.read_demand(Order(pod, vms))
    world.plan(tick_id)
    with world.store.read() as session:
        return ticks.decisions(session, tick_id)


def test_only_that_pod_is_planned_by_its_demand(store: Store) -> None:
    world = two_pods(store)
    world.submit(3)
    (row,) = ordered(world, "p")
    assert (row.pod, row.planned) == ("p", 3)
    assert {item.pod for item in world.instances()} == {"p"}


def test_so_many_vms_start_whatever_the_demand_is(store: Store) -> None:
    world = two_pods(store)
    (row,) = ordered(world, "p", 2)
    assert (row.jobs, row.warranted, row.planned, row.clipped_by) == (0, 2, 2, None)
    assert [reason["sentence"] for reason in row.reasons] == ["2 VMs were asked for by hand"]
    assert len(world.instances()) == 2


def test_limits_count_as_ever(store: Store) -> None:
    world = two_pods(store)
    (row,) = ordered(world, "p", 99)
    assert (row.warranted, row.planned, row.clipped_by) == (99, 4, ReasonCode.POD_LIMIT)
    (row,) = ordered(world, "q", 99)
    assert (row.planned, row.clipped_by) == (2, ReasonCode.ENDPOINT_LIMIT)


def test_and_so_do_holds(store: Store) -> None:
    world = two_pods(store)
    with store.write() as session:
        now = world.clock()
        endpoints.put_hold(session, Hold("alpha", HoldKind.AUTH, "no", now, now.replace(hour=23)))
    (row,) = ordered(world, "p", 1)
    assert (row.planned, row.clipped_by) == (0, ReasonCode.HELD)


def test_a_tick_of_one_pod_is_not_the_last_one_of_all(store: Store) -> None:
    world = two_pods(store)
    world.plan()
    with store.read() as session:
        before = ticks.last_planned(session)
    ordered(world, "p", 1)
    with store.read() as session:
        after = ticks.last_planned(session)
    assert before is not None
    assert after is not None
    assert before.id == after.id
