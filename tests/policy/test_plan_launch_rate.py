"""How many VMs an endpoint may start in how long a time, and what a decision says of limits."""

from datetime import date

import pytest

from tests.policy.builders import (
    MINUTE,
    NOW,
    candidate,
    codes,
    endpoint,
    kept,
    plan,
    planned,
    pod,
    queue,
    static,
    total,
)
from vmdirac.model.decision import ReasonCode
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.policy.plan import Candidate, Invalid


@pytest.mark.parametrize(
    ("rate", "recent", "started"),
    [(5, 0, 5), (5, 3, 2), (5, 5, 0), (5, 9, 0), (0.5, 0, 1), (0.5, 1, 0), (1000, 0, 20), (None, 999, 20)],
)
@pytest.mark.parametrize("static_one", [False, True])
def test_launches_a_minute(rate: float | None, recent: int, started: int, *, static_one: bool) -> None:
    on = static(launch_rate=rate, max_instances=20) if static_one else endpoint(launch_rate=rate)
    made = plan([candidate(pod(), on)], [queue(20)], recent_launches={"A": recent, "B": 999})
    assert total(made) == started
    assert ("launch_rate" in codes(made)) is (started < 20)


def test_what_is_said_of_it() -> None:
    made = plan([candidate(pod(), endpoint(launch_rate=0.5))], [queue(2)], recent_launches={"A": 1})
    sentence = str(made.decisions[0].reasons[-1])
    assert sentence == "the endpoint started 1 VMs in the last 2 minutes, of at most 1"
    assert made.decisions[0].clipped_by is ReasonCode.LAUNCH_RATE


def test_all_pods_of_an_endpoint_share_it() -> None:
    on = endpoint(launch_rate=6)
    made = plan([candidate(pod(name), on) for name in ("one", "two")], [queue(50)], recent_launches={"A": 2})
    assert planned(made) == {("one", "A"): 2, ("two", "A"): 2}


def test_other_endpoints_take_what_it_cannot() -> None:
    ways = [candidate(pod(), endpoint("A", launch_rate=3), weight=100), candidate(pod(), endpoint("B"))]
    assert planned(plan(ways, [queue(10)])) == {("pod", "A"): 3, ("pod", "B"): 7}


@pytest.mark.parametrize(
    ("way", "jobs", "clipped"),
    [
        (candidate(pod(), endpoint()), 5, None),
        (candidate(pod(), endpoint()), 0, None),
        (candidate(pod(cpu_per_instance=1000), endpoint()), 5, ReasonCode.CPU_PER_INSTANCE),
        (candidate(pod(max_instances=2), endpoint()), 5, ReasonCode.POD_LIMIT),
        (candidate(pod(), endpoint(max_instances=2)), 5, ReasonCode.ENDPOINT_LIMIT),
        (candidate(pod(), endpoint(max_launch_per_tick=2)), 5, ReasonCode.LAUNCHES_PER_TICK),
        (candidate(pod(), endpoint(launch_rate=2)), 5, ReasonCode.LAUNCH_RATE),
        (candidate(pod(), static(max_instances=2)), 5, ReasonCode.ENDPOINT_LIMIT),
        (candidate(pod(max_instances=2), kept()), 0, ReasonCode.POD_LIMIT),
        (candidate(pod(campaign_start=date(2027, 1, 1)), endpoint()), 5, ReasonCode.UNACTIVE),
        # The pod's own limit is told before the endpoint's.
        (candidate(pod(max_instances=2), endpoint(max_instances=2)), 5, ReasonCode.POD_LIMIT),
    ],
)
def test_a_decision_names_what_clipped_it(way: Candidate, jobs: int, clipped: ReasonCode | None) -> None:
    made = plan([way], [queue(jobs)] if jobs else [])
    assert made.decisions[0].clipped_by is clipped


def test_holds_and_mistakes_clip_too() -> None:
    held = Hold("A", HoldKind.THROTTLE, "slow down", NOW, NOW + MINUTE)
    made = plan([candidate(pod(), endpoint())], [queue(5)], holds=[held], invalid=[Invalid("bad", "", "no image")])
    clipped = {item.pod: item.clipped_by for item in made.decisions}
    assert clipped == {"bad": ReasonCode.INVALID, "pod": ReasonCode.HELD}
