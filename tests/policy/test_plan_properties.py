"""What holds for every plan, whatever is configured, runs and waits."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import MANY, PROPERTY
from tests.policy.builders import (
    MINUTE,
    NOW,
    candidate,
    endpoint,
    instance,
    launched,
    plan,
    planned,
    pod,
    queue,
    total,
)
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint
from vmdirac.model.requirements import TaskQueue
from vmdirac.model.states import InstanceStatus, VmPolicy, VmStopPolicy
from vmdirac.policy.matching import matches
from vmdirac.policy.plan import Candidate, Plan

SITES = ("a", "b", "c")
SITE_LISTS = st.lists(st.sampled_from(SITES), max_size=2).map(tuple)


@dataclass(frozen=True)
class World:
    """Everything that a plan is made from."""

    candidates: list[Candidate]
    queues: list[TaskQueue]
    instances: list[Instance]
    holds: list[Hold]

    def plan(self, seed: int = 0) -> Plan:
        return plan(self.candidates, self.queues, self.instances, holds=self.holds, seed=seed)


def endpoints(policies: list[VmPolicy] | None = None) -> st.SearchStrategy[list[Endpoint]]:
    """The endpoints A, B and C, or the first of them."""
    values = st.fixed_dictionaries(
        {
            "max_instances": st.integers(0, 12),
            "max_launch_per_tick": st.one_of(st.none(), st.integers(1, 6)),
            "vm_policy": st.sampled_from(policies or list(VmPolicy)),
            "vm_stop_policy": st.sampled_from(VmStopPolicy),
        }
    )
    return st.lists(values, min_size=1, max_size=3).map(
        lambda found: [endpoint(name, **each) for name, each in zip("ABC", found, strict=False)]
    )


@st.composite
def candidates(draw: st.DrawFn, on: list[Endpoint], processors: st.SearchStrategy[int]) -> list[Candidate]:
    shapes = {item.name: draw(processors) for item in on}
    found = []
    for name in draw(st.lists(st.sampled_from(["one", "two", "three"]), unique=True, min_size=1)):
        one = pod(
            name,
            max_instances=draw(st.integers(0, 15)),
            cpu_per_instance=draw(st.sampled_from([0, 0, 50, 100, 333.3, 10**6])),
            priority=draw(st.integers(0, 2)),
            campaign_end=draw(st.sampled_from([None, None, None, NOW.date(), NOW.date() - timedelta(days=1)])),
        )
        weights = st.sampled_from([0.5, 1.0, 1.0, 3.0])
        found += [
            candidate(one, item, weight=draw(weights), processors=shapes[item.name])
            for item in on
            if draw(st.booleans()) or item is on[0]
        ]
    return found


@st.composite
def queues(draw: st.DrawFn, processors: st.SearchStrategy[int]) -> list[TaskQueue]:
    return [
        queue(
            draw(st.integers(1, 15)),
            key=f"q{number}",
            cpu_time=draw(st.sampled_from([10, 100, 1000])),
            priority=draw(st.integers(0, 2)),
            processors=draw(processors),
            sites=draw(SITE_LISTS),
        )
        for number in range(draw(st.integers(0, 4)))
    ]


@st.composite
def instances(draw: st.DrawFn, among: list[Candidate], statuses: list[InstanceStatus]) -> list[Instance]:
    rows = []
    for number in range(draw(st.integers(0, 12))):
        chosen = draw(st.sampled_from(among))
        size = chosen.offer.processors
        rows.append(
            instance(
                number + 1,
                draw(st.sampled_from(statuses)),
                pod=chosen.pod.name,
                endpoint=draw(st.sampled_from([chosen.endpoint.name, chosen.endpoint.name, "removed"])),
                processors=size,
                busy_processors=draw(st.integers(0, size)),
                vm_gone=draw(st.booleans()),
            )
        )
    return rows


@st.composite
def holds(draw: st.DrawFn) -> list[Hold]:
    return [
        Hold(
            draw(st.sampled_from("ABC")),
            draw(st.sampled_from(HoldKind)),
            "message",
            NOW - number * MINUTE,
            NOW + draw(st.integers(-1, 3)) * MINUTE,
            pod=draw(st.sampled_from(["", "", "one"])),
            flavor=draw(st.sampled_from(["", "flavor", "other"])),
        )
        for number in range(draw(st.integers(0, 2)))
    ]


UNFINISHED: list[InstanceStatus] = [status for status in InstanceStatus if status is not InstanceStatus.HALTED]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    sizes = st.integers(1, 4)
    ways = draw(candidates(draw(endpoints()), sizes))
    return World(ways, draw(queues(sizes)), draw(instances(ways, UNFINISHED)), draw(holds()))


@MANY
@given(worlds())
def test_no_limit_is_ever_exceeded(world: World) -> None:
    made = world.plan()
    holding = [item for item in world.instances if item.holds_a_place]
    new_by_pod: Counter[str] = Counter()
    new_by_endpoint: Counter[str] = Counter()
    for (pod_name, endpoint_name), count in planned(made).items():
        assert count > 0
        new_by_pod[pod_name] += count
        new_by_endpoint[endpoint_name] += count
    there_by_pod = Counter(item.pod for item in holding)
    there_by_endpoint = Counter(item.endpoint for item in holding)
    for item in world.candidates:
        name, limit = item.pod.name, item.pod.max_instances
        assert not new_by_pod[name] or there_by_pod[name] + new_by_pod[name] <= limit
        name, limit = item.endpoint.name, item.endpoint.max_instances
        assert not new_by_endpoint[name] or there_by_endpoint[name] + new_by_endpoint[name] <= limit
        assert new_by_endpoint[name] <= (item.endpoint.max_launch_per_tick or limit)


@MANY
@given(worlds())
def test_no_vm_without_a_job_unless_it_is_kept_filled(world: World) -> None:
    left = Counter({item.key: item.jobs for item in world.queues})
    for launch in world.plan().launches:
        on, offer = launch.candidate.endpoint, launch.candidate.offer
        matching = [item for item in world.queues if matches(item.requirements, offer)]
        if on.vm_policy is VmPolicy.ELASTIC:
            assert launch.count <= sum(item.jobs for item in matching)
        elif on.vm_stop_policy is VmStopPolicy.ELASTIC:
            assert matching
    elastic = [item for item in world.plan().launches if item.candidate.endpoint.vm_policy is VmPolicy.ELASTIC]
    # Each elastic VM has a job of its own.
    assert sum(item.count for item in elastic) <= left.total()


@PROPERTY
@given(worlds())
def test_nothing_starts_for_an_unactive_pod_or_where_launches_are_held(world: World) -> None:
    for launch in world.plan().launches:
        item = launch.candidate
        assert item.pod.in_campaign(NOW.date())
        assert not [
            hold
            for hold in world.holds
            if hold.endpoint == item.endpoint.name
            and hold.kind is not HoldKind.CAPACITY
            and hold.until > NOW
            and hold.pod in {"", item.pod.name}
            and hold.flavor in {"", "flavor"}
        ]


@PROPERTY
@given(worlds())
def test_every_pod_and_endpoint_gets_one_decision_with_a_reason(world: World) -> None:
    made = world.plan()
    pairs = Counter((item.pod, item.endpoint) for item in made.decisions)
    assert pairs == Counter((item.pod.name, item.endpoint.name) for item in world.candidates)
    assert {(item.pod, item.endpoint): item.planned for item in made.decisions if item.planned} == planned(made)
    by_pod: Counter[str] = Counter()
    for decision in made.decisions:
        assert decision.reasons
        for reason in decision.reasons:
            assert str(reason)
        by_pod[decision.pod] += decision.planned
    assert all(item.warranted >= by_pod[item.pod] for item in made.decisions)


@PROPERTY
@given(worlds())
def test_a_reason_for_each_vm_that_was_wanted_and_not_started(world: World) -> None:
    """Where jobs are left that an open place could do, something is said to be in the way."""
    in_the_way = {"pod_limit", "endpoint_limit", "launches_per_tick", "cpu_per_instance", "served_elsewhere"}
    for decision in world.plan().decisions:
        words = {reason.code.value: dict(reason.parameters) for reason in decision.reasons}
        if "demand" in words and decision.planned == 0:
            assert in_the_way & words.keys()


@PROPERTY
@given(world=worlds(), seed=st.integers(0, 5), chance=st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_listed_changes_nothing(world: World, seed: int, chance) -> None:  # type: ignore[no-untyped-def]
    shuffled = [list(part) for part in (world.candidates, world.queues, world.instances)]
    for part in shuffled:
        chance.shuffle(part)
    ways, waiting, rows = shuffled
    other = World(ways, waiting, rows, world.holds)  # type: ignore[arg-type]
    assert planned(other.plan(seed)) == planned(world.plan(seed))
    assert set(other.plan(seed).decisions) == set(world.plan(seed).decisions)


@MANY
@given(st.data())
def test_more_demand_never_means_fewer_vms(data: st.DataObject) -> None:
    """For one pod and VMs of one size: larger VMs elsewhere may do with fewer, and another pod may be served first."""
    one = st.just(1)
    ways = [item for item in data.draw(candidates(data.draw(endpoints()), one)) if item.pod.name == "one"]
    waiting = data.draw(queues(one))
    rows = data.draw(instances(ways, UNFINISHED)) if ways else []
    more = [replace(item, jobs=item.jobs + data.draw(st.integers(0, 3))) for item in waiting]
    extra = data.draw(st.lists(st.builds(queue, st.integers(1, 9), key=st.just("new"), sites=SITE_LISTS), max_size=1))
    assert total(plan(ways, more + extra, rows)) >= total(plan(ways, waiting, rows))


@MANY
@given(st.data())
def test_planning_again_before_any_vm_boots_starts_nothing_more(data: st.DataObject) -> None:
    """VMs of one processor, and jobs that run anywhere or at one site."""
    one = st.just(1)
    ways = data.draw(candidates(data.draw(endpoints()), one))
    ways = [replace(item, endpoint=replace(item.endpoint, max_launch_per_tick=None)) for item in ways]
    sites = st.sampled_from([(), ("a",), ("b",), ("c",)])
    waiting = [
        replace(item, requirements=replace(item.requirements, sites=data.draw(sites)))
        for item in data.draw(queues(one))
    ]
    rows = data.draw(instances(ways, [InstanceStatus.NEW, InstanceStatus.SUBMITTED, InstanceStatus.RUNNING]))
    rows = [row for row in rows if row.endpoint != "removed"]
    first = plan(ways, waiting, rows)
    assert total(plan(ways, waiting, [*rows, *launched(first, 100)])) == 0


@PROPERTY
@given(
    weights=st.lists(st.integers(1, 20), min_size=1, max_size=5),
    jobs=st.integers(0, 200),
    seed=st.integers(0, 3),
)
def test_each_place_gets_at_least_its_share(weights: list[int], jobs: int, seed: int) -> None:
    ways = [candidate(pod(), endpoint(name), weight=weight) for name, weight in zip("ABCDE", weights, strict=False)]
    made = plan(ways, [queue(jobs)] if jobs else [], seed=seed)
    assert total(made) == jobs
    got = planned(made)
    for item in ways:
        share = jobs * item.weight / sum(weights)
        assert got.get(("pod", item.endpoint.name), 0) >= int(share)


@PROPERTY
@given(
    jobs=st.integers(0, 60),
    free=st.lists(st.integers(0, 4), max_size=8),
    at_most=st.integers(0, 30),
    processors=st.integers(1, 4),
)
def test_as_many_as_the_jobs_without_a_vm_can_fill(jobs: int, free: list[int], at_most: int, processors: int) -> None:
    rows = [instance(n, processors=4, busy_processors=4 - size) for n, size in enumerate(free)]
    ways = [candidate(pod(), endpoint(max_instances=at_most), processors=processors)]
    without = max(0, jobs - sum(free))
    expected = min(-(-without // processors), max(0, at_most - len(free)))
    assert total(plan(ways, [queue(jobs)] if jobs else [], rows)) == expected
