"""What cannot be planned is told, and stops nobody else."""

from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.world import KEY, World
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.policy.plan import Candidate, Plan
from vmdirac.store.database import Store


def broken_on_beta(candidate: Candidate, instance_id: int) -> str:
    if candidate.endpoint.name == "beta":
        raise KeyError("no such block")
    return f"{instance_id} {PLACEHOLDER}"


def plan(world: World) -> Plan:
    tick_id = world.read_demand()
    return plan_and_reserve(
        world.store, world.configuration, tick_id, key=KEY, render=broken_on_beta, now=world.clock(), rng=world.rng
    )


def test_user_data_that_cannot_be_rendered_is_told_and_stops_nobody_else(store: Store) -> None:
    world = World(store, [a_pod(endpoints=("alpha", "beta"))], [an_endpoint("alpha"), an_endpoint("beta")])
    world.submit(4)
    made = plan(world)
    assert [(item.candidate.endpoint.name, item.count) for item in made.launches] == [("alpha", 4)]
    (told,) = [item for item in made.decisions if item.endpoint == "beta"]
    assert str(told.reasons[0]) == "the user data of image 'worker' cannot be rendered: KeyError: 'no such block'"
