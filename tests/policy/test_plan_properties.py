"""What holds for every plan, whatever is configured, runs and waits."""

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import MANY, PROPERTY
from tests.policy.builders import (
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
from tests.policy.worlds import SITE_LISTS, UNFINISHED, World, candidates, endpoints, instances, queues, worlds
from vmdirac.model.decision import CLIPPING
from vmdirac.model.hold import PROBED, Hold, HoldKind
from vmdirac.model.states import InstanceStatus, VmPolicy, VmStopPolicy
from vmdirac.policy.holds import concerns, is_probing
from vmdirac.policy.matching import matches


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
        if item.endpoint.launch_window is not None and new_by_endpoint[name]:
            assert world.recent.get(name, 0) + new_by_endpoint[name] <= item.endpoint.launch_window[1]


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


@MANY
@given(worlds())
def test_no_hold_that_has_run_out_is_tried_by_two(world: World) -> None:
    tried: Counter[Hold] = Counter()
    for launch in world.plan().launches:
        for hold in set(world.holds):
            if hold.kind in PROBED and hold.until <= NOW and concerns(hold, launch.candidate.scope):
                tried[hold] += launch.count
                assert not any(is_probing(row, hold) for row in world.instances)
    assert max(tried.values(), default=1) == 1


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
    in_the_way = {str(code) for code in CLIPPING} | {"served_elsewhere"}
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
    other = World(ways, waiting, rows, world.holds, world.recent)  # type: ignore[arg-type]
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
    """VMs of one processor that live long, and jobs that run anywhere or at one site."""
    one = st.just(1)
    ways = data.draw(candidates(data.draw(endpoints()), one))
    ways = [replace(item, endpoint=replace(item.endpoint, max_launch_per_tick=None, launch_rate=None)) for item in ways]
    sites = st.sampled_from([(), ("a",), ("b",), ("c",)])
    ways = [replace(item, offer=replace(item.offer, max_lifetime=0, whole_node=True)) for item in ways]
    waiting = [
        replace(item, requirements=replace(item.requirements, sites=data.draw(sites)))
        for item in data.draw(queues(one))
    ]
    rows = data.draw(instances(ways, [InstanceStatus.NEW, InstanceStatus.SUBMITTED, InstanceStatus.RUNNING]))
    rows = [row for row in rows if row.endpoint != "removed"]
    first = plan(ways, waiting, rows)
    assert total(plan(ways, waiting, [*rows, *launched(first, 100, created_at=NOW)])) == 0


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
