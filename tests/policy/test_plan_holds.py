"""Launches that are held, and the single one that tries whether they must still be."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import MANY
from tests.policy.builders import (
    HOUR,
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
from vmdirac.model.decision import ReasonCode
from vmdirac.model.hold import PROBED, Hold, HoldKind
from vmdirac.model.states import InstanceStatus as S
from vmdirac.policy.holds import concerns
from vmdirac.policy.plan import Candidate

POD = pod()
BLOCKING = [kind for kind in HoldKind if kind is not HoldKind.CAPACITY]


def held(kind: HoldKind = HoldKind.AUTH, **values: object) -> Hold:
    given = {"since": NOW - HOUR, "until": NOW + MINUTE} | values
    return Hold("A", kind, "it failed", **given)  # type: ignore[arg-type]


def over(kind: HoldKind = HoldKind.AUTH, **values: object) -> Hold:
    return held(kind, until=NOW, **values)


@pytest.mark.parametrize("kind", BLOCKING)
@pytest.mark.parametrize("on", [endpoint(), static(), kept()], ids=["elastic", "static", "kept"])
def test_a_hold_blocks_until_it_has_run_out(kind: HoldKind, on: object) -> None:
    made = plan([candidate(POD, on)], [queue(5)], holds=[held(kind)])  # type: ignore[arg-type]
    assert total(made) == 0
    assert codes(made) == ["held"]
    assert made.decisions[0].clipped_by is ReasonCode.HELD


def test_a_hold_of_a_pod_leaves_the_other_pods_alone() -> None:
    ways = [candidate(pod("one"), endpoint()), candidate(pod("two"), endpoint())]
    made = plan(ways, [queue(4)], holds=[held(HoldKind.BOOT, pod="one")])
    assert planned(made) == {("two", "A"): 4}
    assert codes(made, "one") == ["held"]


@pytest.mark.parametrize("kind", BLOCKING)
@pytest.mark.parametrize("on", [endpoint(), static(max_instances=9), kept(max_instances=9)], ids=str)
def test_when_it_has_run_out_one_launch_tries(kind: HoldKind, on: object) -> None:
    made = plan([candidate(POD, on)], [queue(9)], holds=[over(kind)])  # type: ignore[arg-type]
    assert total(made) == (1 if kind in PROBED else 9)
    assert ("probing" in codes(made)) is (kind in PROBED)
    if kind in PROBED:
        assert made.decisions[0].clipped_by is ReasonCode.PROBING
        said = str(made.decisions[0].reasons[-1])
        assert said == f"one VM tries whether it works again, the others wait for it ({kind}: it failed)"


def test_one_launch_tries_for_all_pods_of_the_endpoint() -> None:
    ways = [candidate(pod(name, priority=n // 2), endpoint()) for n, name in enumerate(["one", "two", "three"])]
    made = plan(ways, [queue(9)], holds=[over(HoldKind.AUTH)])
    assert total(made) == 1
    assert planned(made) == {("three", "A"): 1}, "the first in line"
    assert codes(made, "one") == codes(made, "two") == ["demand", "probing"]


def test_each_hold_has_its_own() -> None:
    ways = [candidate(pod(name), endpoint()) for name in ("one", "two")]
    breakers = [over(HoldKind.BOOT, pod="one"), over(HoldKind.BOOT, pod="two")]
    assert planned(plan(ways, [queue(9)], holds=breakers)) == {("one", "A"): 1, ("two", "A"): 1}
    assert planned(plan(ways, [queue(9)], holds=breakers[:1])) == {("one", "A"): 1, ("two", "A"): 8}


def test_a_launch_tries_all_holds_that_it_falls_under() -> None:
    """The breakers are newer than the endpoint's hold, and yet only one launch tries that."""
    ways = [candidate(pod(name), endpoint()) for name in ("one", "two")]
    both = [
        over(HoldKind.BOOT, pod="one"),
        over(HoldKind.BOOT, pod="two"),
        replace(over(HoldKind.AUTH), until=NOW - MINUTE),
    ]
    assert total(plan(ways, [queue(9)], holds=both)) == 1


@pytest.mark.parametrize("kind", PROBED)
@pytest.mark.parametrize("state", [S.NEW, S.SUBMITTED, S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING, S.RUNNING, S.STOPPING])
def test_none_while_one_is_trying(kind: HoldKind, state: S) -> None:
    """A launch that was answered tells of credentials and limits; whether VMs boot is told by those that boot."""
    tries = state is S.NEW or (kind is HoldKind.BOOT and state in {S.SUBMITTED, S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING})
    rows = [instance(1, state, busy_processors=1)]
    made = plan([candidate(POD, endpoint())], [queue(9)], rows, holds=[over(kind)])
    assert total(made) == (0 if tries else 1)
    assert "probing" in codes(made)


def test_what_starts_elsewhere_tries_nothing_here() -> None:
    rows = [instance(1, S.NEW, endpoint="B"), instance(2, S.NEW, pod="other", offer=candidate(POD, endpoint()).offer)]
    ways = [candidate(POD, endpoint())]
    assert total(plan(ways, [queue(9)], rows, holds=[over(HoldKind.BOOT, pod="pod")])) == 1
    assert total(plan(ways, [queue(9)], rows[:1], holds=[over(HoldKind.AUTH)])) == 1
    assert total(plan(ways, [queue(9)], rows[1:], holds=[over(HoldKind.AUTH)])) == 0, "any pod's launch tries that"


@pytest.mark.parametrize("until", [NOW + HOUR, NOW])
def test_a_changed_configuration_ends_a_hold(until: object) -> None:
    now_is = endpoint(revision="e2")
    ways = [replace(candidate(POD, now_is), revision="r2")]
    for hold, alike in [
        (held(HoldKind.CONFIG, pod="pod", revision="r1", until=until), "r2"),
        (held(HoldKind.BOOT, pod="pod", revision="r1", until=until), "r2"),
        (held(HoldKind.AUTH, revision="e1", until=until), "e2"),
    ]:
        assert total(plan(ways, [queue(9)], holds=[hold])) == 9
        assert total(plan(ways, [queue(9)], holds=[replace(hold, revision=alike)])) < 9


def test_a_pod_that_tries_here_goes_on_elsewhere() -> None:
    ways = [candidate(POD, endpoint("A"), weight=1000), candidate(POD, endpoint("B"))]
    made = plan(ways, [queue(9)], holds=[over(HoldKind.QUOTA)])
    assert planned(made) == {("pod", "A"): 1, ("pod", "B"): 8}


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[Candidate], list[Hold]]:
    ways = [
        replace(
            candidate(pod(name, priority=draw(st.integers(0, 1))), endpoint(on, revision="e")),
            revision=draw(st.sampled_from(["", "r1", "r2"])),
        )
        for name in ("one", "two")
        for on in "AB"
    ]
    holds = [
        Hold(
            draw(st.sampled_from("AB")),
            draw(st.sampled_from(sorted(PROBED))),
            "message",
            NOW - HOUR,
            NOW - draw(st.integers(-1, 2)) * MINUTE,
            pod=draw(st.sampled_from(["", "one", "two"])),
            revision=draw(st.sampled_from(["", "", "r1"])),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]
    return ways, holds


@MANY
@given(situation=situations(), jobs=st.integers(1, 20), seed=st.integers(0, 3))
def test_no_hold_is_ever_tried_by_two(situation: tuple[list[Candidate], list[Hold]], jobs: int, seed: int) -> None:
    ways, holds = situation
    made = plan(ways, [queue(jobs)], holds=holds, seed=seed)
    tried: Counter[Hold] = Counter()
    for launch in made.launches:
        concerned = {hold for hold in holds if concerns(hold, launch.candidate.scope)}
        assert all(hold.until <= NOW for hold in concerned)
        tried.update(dict.fromkeys(concerned, launch.count))
    assert not [hold for hold, count in tried.items() if count > 1]
    if all(concerns(hold, item.scope) for hold in holds for item in ways[:1]) and not made.launches:
        assert holds
