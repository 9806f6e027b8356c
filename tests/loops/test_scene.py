"""What cannot be planned is told, and stops nobody else."""

from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.world import KEY, World
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.user_data import UserData
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.model.alert import AlertKind
from vmdirac.model.credential import CredentialSource, SourceKind
from vmdirac.model.pod import Traits
from vmdirac.policy.credentials import subject_of
from vmdirac.policy.plan import Candidate, Invalid, Plan
from vmdirac.store import alerts
from vmdirac.store.database import Store


def broken_on_beta(candidate: Candidate, instance_id: int) -> UserData:
    if candidate.endpoint.name == "beta":
        raise KeyError("no such block")
    return UserData(f"{instance_id} {PLACEHOLDER}")


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


def test_what_is_wrong_twice_gets_one_decision(store: Store) -> None:
    """By the configuration, by its tags, by its template: a second one would break the tick for all."""
    pod = a_pod(endpoints=("alpha", "beta"), traits=Traits(required_tags=("gpu",)))
    world = World(store, [pod, a_pod("good")], [an_endpoint("alpha"), an_endpoint("beta")])
    world.invalid = (Invalid("pod", "beta", "told before"), Invalid("pod", "beta", "told again"))
    world.submit(1)
    made = plan(world)
    assert sorted((item.pod, item.endpoint) for item in made.decisions) == [
        ("good", "alpha"),
        ("pod", "alpha"),
        ("pod", "beta"),
    ]
    assert [str(item.reasons[0]) for item in made.decisions if item.endpoint == "beta"] == ["told before"]
    assert [launch.candidate.pod.name for launch in made.launches] == ["good"]


def test_a_pod_whose_credentials_cannot_be_read_starts_no_vm_and_says_why(sqlite_store: Store) -> None:
    """Its VMs would wait for them, be idle, drain, and be started again."""
    proxy = CredentialSource("proxy", SourceKind.FILE, "/proxy")
    world = World(sqlite_store, [a_pod(credentials=(proxy,)), a_pod("other")], [an_endpoint("alpha")])
    world.submit(2)
    subject = subject_of("pod", "proxy")
    with sqlite_store.write() as session:
        alerts.raise_alert(session, AlertKind.CREDENTIAL, subject, "missing: no file", world.clock())
    made = plan(world)
    assert [launch.candidate.pod.name for launch in made.launches] == ["other"]
    (told,) = [item for item in made.decisions if item.pod == "pod"]
    assert str(told.reasons[0]) == "credentials.proxy cannot be read: missing: no file"
    with sqlite_store.write() as session:
        alerts.end_alert(session, AlertKind.CREDENTIAL, subject, world.clock())
    world.submit(2)
    assert "pod" in {launch.candidate.pod.name for launch in plan(world).launches}
