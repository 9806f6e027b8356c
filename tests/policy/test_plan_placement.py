"""Which of a pod's endpoints its VMs are started on: weights, lots, holds and scores."""

from dataclasses import replace

from tests.policy.builders import (
    MINUTE,
    NOW,
    candidate,
    codes,
    endpoint,
    instance,
    kept,
    plan,
    planned,
    pod,
    queue,
    static,
    total,
)
from vmdirac.model.hold import Hold, HoldKind

POD = pod()


def test_weights_share_out() -> None:
    ways = [candidate(POD, endpoint(name), weight=weight) for name, weight in (("A", 1), ("B", 2), ("C", 5))]
    made = plan(ways, [queue(80)])
    assert planned(made) == {("pod", "A"): 10, ("pod", "B"): 20, ("pod", "C"): 50}


def test_weights_count_what_is_there_already() -> None:
    ways = [candidate(POD, endpoint("A")), candidate(POD, endpoint("B"))]
    rows = [instance(n, busy_processors=1) for n in range(6)]
    assert planned(plan(ways, [queue(10)], rows)) == {("pod", "A"): 2, ("pod", "B"): 8}


def test_static_endpoints_have_their_shares_of_the_pods_limit() -> None:
    ways = [candidate(pod(max_instances=8), static(name), weight=weight) for name, weight in (("A", 1), ("B", 3))]
    assert planned(plan(ways, [queue(1)])) == {("pod", "A"): 2, ("pod", "B"): 6}


def test_where_one_is_full_the_others_take_its_part() -> None:
    ways = [candidate(POD, endpoint("A", max_instances=2), weight=100), candidate(POD, endpoint("B"))]
    made = plan(ways, [queue(10)])
    assert planned(made) == {("pod", "A"): 2, ("pod", "B"): 8}
    assert codes(made, "pod", "A") == ["demand", "endpoint_limit"]
    assert codes(made, "pod", "B") == ["demand"]


def test_an_endpoint_that_nothing_was_left_for_says_so() -> None:
    ways = [candidate(POD, endpoint("A"), weight=1000), candidate(POD, endpoint("B"))]
    made = plan(ways, [queue(3)])
    assert planned(made) == {("pod", "A"): 3}
    assert codes(made, "pod", "B") == ["demand", "served_elsewhere"]


def test_equals_are_chosen_by_lot() -> None:
    ways = [candidate(POD, endpoint(name)) for name in "ABCD"]
    chosen = {next(iter(planned(plan(ways, [queue(1)], seed=seed)))) for seed in range(40)}
    assert len(chosen) == 4


HOLD = Hold("A", HoldKind.AUTH, "refused", NOW - MINUTE, NOW + MINUTE)


def test_a_hold_keeps_a_place_closed() -> None:
    ways = [candidate(POD, endpoint("A"), weight=1000), candidate(POD, endpoint("B")), candidate(POD, kept("C"))]
    held = [HOLD, replace(HOLD, endpoint="C", kind=HoldKind.QUOTA)]
    made = plan(ways, [queue(3)], holds=held)
    assert {name for _, name in planned(made)} == {"B"}
    assert codes(made, "pod", "A") == codes(made, "pod", "C") == ["held"]
    [decision] = [item for item in made.decisions if item.endpoint == "A"]
    assert str(decision.reasons[0]) == "launches are held until 2026-03-01T12:01:00+00:00 (auth: refused)"


def test_a_hold_that_ran_out_or_is_elsewhere_keeps_nothing_closed() -> None:
    ways = [candidate(POD, endpoint("A"))]
    throttled = replace(HOLD, kind=HoldKind.THROTTLE, until=NOW)
    for hold in (throttled, replace(HOLD, endpoint="B"), replace(HOLD, pod="other")):
        assert total(plan(ways, [queue(3)], holds=[hold])) == 3


def test_a_place_without_room_is_the_last_choice() -> None:
    full = Hold("A", HoldKind.CAPACITY, "full", NOW, NOW + MINUTE, flavor="flavor")
    ways = [candidate(POD, endpoint("A"), weight=1000), candidate(POD, endpoint("B", max_instances=2))]
    assert planned(plan(ways, [queue(2)], holds=[full])) == {("pod", "B"): 2}
    assert planned(plan(ways, [queue(5)], holds=[full])) == {("pod", "A"): 1, ("pod", "B"): 2}, "one tries it"
    fixed = [candidate(pod(max_instances=2), static("A"), weight=1000), candidate(pod(max_instances=2), static("B"))]
    assert planned(plan(fixed, [queue(1)], holds=[full])) == {("pod", "B"): 2}


def test_a_place_that_recovers_has_a_smaller_share() -> None:
    half = Hold("A", HoldKind.CAPACITY, "full", NOW - 5 * MINUTE, NOW + 5 * MINUTE, flavor="flavor")
    ways = [candidate(POD, endpoint("A")), candidate(POD, endpoint("B"))]
    assert planned(plan(ways, [queue(30)], holds=[half])) == {("pod", "A"): 10, ("pod", "B"): 20}
