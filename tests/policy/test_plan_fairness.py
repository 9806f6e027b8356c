"""Several pods for the same jobs: served once, by priority, and fairly between equals."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import candidate, codes, endpoint, instance, plan, planned, pod, queue, static, total

ONE, TWO = pod("one"), pod("two")


@pytest.mark.parametrize("jobs", [1, 2, 7, 10, 101])
@pytest.mark.parametrize("seed", range(3))
def test_equals_share_a_task_queue_to_one_vm(jobs: int, seed: int) -> None:
    ways = [candidate(pod(name), endpoint(name)) for name in ("x", "y", "z")]
    made = planned(plan(ways, [queue(jobs)], seed=seed))
    counts = [made.get((name, name), 0) for name in ("x", "y", "z")]
    assert sum(counts) == jobs
    assert max(counts) - min(counts) <= 1


def test_equals_share_one_endpoint_too() -> None:
    shared = endpoint(max_instances=9)
    made = planned(plan([candidate(ONE, shared), candidate(TWO, shared)], [queue(100)]))
    assert sorted(made.values()) == [4, 5]


def test_weights_of_pods_are_their_shares() -> None:
    ways = [candidate(ONE, endpoint("A"), weight=3), candidate(TWO, endpoint("B"))]
    assert planned(plan(ways, [queue(40)])) == {("one", "A"): 30, ("two", "B"): 10}


def test_what_one_has_already_counts_for_its_share() -> None:
    rows = [instance(n, pod="one", busy_processors=1, jobs=1) for n in range(4)]
    ways = [candidate(ONE, endpoint("A")), candidate(TWO, endpoint("B"))]
    assert planned(plan(ways, [queue(6)], rows)) == {("one", "A"): 1, ("two", "B"): 5}


def test_static_endpoints_of_equals_fill_up_together() -> None:
    shared = static(max_instances=10)
    made = planned(plan([candidate(ONE, shared), candidate(TWO, shared)], [queue(1)]))
    assert made == {("one", "A"): 5, ("two", "A"): 5}


def test_a_higher_priority_has_all_that_it_can_do_first() -> None:
    first = replace(TWO, priority=0.1)
    ways = [candidate(ONE, endpoint("A"), weight=1000), candidate(first, endpoint("B"))]
    made = plan(ways, [queue(10)])
    assert planned(made) == {("two", "B"): 10}
    assert codes(made, "one", "A") == ["demand_covered"]
    limited = [ways[0], candidate(replace(first, max_instances=4), endpoint("B"))]
    assert planned(plan(limited, [queue(10)])) == {("two", "B"): 4, ("one", "A"): 6}


def test_a_higher_priority_fills_its_static_endpoint_before_an_elastic_one_of_a_lower_is_thought_of() -> None:
    ways = [candidate(replace(ONE, priority=1), static("A", max_instances=3)), candidate(TWO, endpoint("B"))]
    assert planned(plan(ways, [queue(5)])) == {("one", "A"): 3, ("two", "B"): 2}


def test_each_pod_has_its_own_jobs_whatever_the_shares() -> None:
    mine, shared = queue(10, key="1", tags=("one",)), queue(10, key="2")
    ways = [candidate(ONE, endpoint("A"), tags=("one",)), candidate(TWO, endpoint("B"))]
    made = plan(ways, [mine, shared])
    assert total(made) == 20
    assert planned(made) == {("one", "A"): 10, ("two", "B"): 10}


@PROPERTY
@given(
    weights=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    jobs=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    priorities=st.lists(st.integers(0, 1), min_size=4, max_size=4),
    seed=st.integers(0, 3),
)
def test_a_task_queue_is_served_once_however_many_pods_match_it(
    weights: list[int], jobs: list[int], priorities: list[int], seed: int
) -> None:
    ways = [
        candidate(pod(name, priority=priority), endpoint(name), weight=weight)
        for name, weight, priority in zip("wxyz", weights, priorities, strict=False)
    ]
    waiting = [queue(count, key=f"q{n}") for n, count in enumerate(jobs) if count]
    made = plan(ways, waiting, seed=seed)
    assert total(made) == sum(jobs)
    first = max(item.pod.priority for item in ways)
    assert all(launch.candidate.pod.priority == first for launch in made.launches)
    served = [item for item in ways if item.pod.priority == first]
    together = sum(item.weight for item in served)
    for item in served:
        got = planned(made).get((item.pod.name, item.endpoint.name), 0)
        assert got >= int(sum(jobs) * item.weight / together)


def test_a_pod_with_more_endpoints_has_no_larger_share() -> None:
    on = [endpoint(name) for name in "ABC"]
    many, one = pod("many"), pod("one")
    ways = [*(candidate(many, each) for each in on), candidate(one, on[0])]
    made = planned(plan(ways, [queue(40)]))
    assert sum(count for (name, _), count in made.items() if name == "many") == 20
    assert made["one", "A"] == 20
