"""What is planned when somebody asks for one pod by hand."""

from datetime import date
from typing import Any

import pytest

from tests.policy.builders import (
    MINUTE,
    NOW,
    candidate,
    codes,
    endpoint,
    instance,
    plan,
    planned,
    pod,
    queue,
    static,
    total,
)
from vmdirac.model.decision import ReasonCode
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.states import InstanceStatus as S
from vmdirac.policy.plan import Invalid, Order

ONE = pod("one")


def ordered(vms: int | None, of: RunningPod = ONE, on: Endpoint | None = None, **more: Any) -> Any:
    here = on or endpoint()
    ways = [candidate(of, here), candidate(pod("two", priority=9), here)]
    return plan(ways, order=Order(of.name, vms), **more)


@pytest.mark.parametrize("on", [endpoint(), static()], ids=["elastic", "static"])
def test_so_many_are_started_whatever_the_demand(on: Endpoint) -> None:
    for queues in ([], [queue(2)], [queue(100)]):
        made = ordered(5, on=on, queues=queues)
        assert planned(made) == {("one", "A"): 5}
        assert codes(made, "one") == ["asked_for"]
        assert str(made.decisions[0].reasons[0]) == "5 VMs were asked for by hand"
        assert made.decisions[0].warranted == 5


def test_only_that_pod_is_planned_and_told_of() -> None:
    invalid = [Invalid("one", "B", "no flavor"), Invalid("two", "B", "no flavor")]
    for vms in (None, 3):
        made = ordered(vms, queues=[queue(9)], invalid=invalid)
        assert {item.pod for item in made.decisions} == {"one"}
        assert {(item.pod, item.endpoint) for item in made.decisions} == {("one", "A"), ("one", "B")}
        assert total(made) == (vms or 9)


def test_without_a_number_the_demand_says_how_many() -> None:
    assert total(ordered(None, queues=[queue(4)])) == 4
    assert codes(ordered(None), "one") == ["no_matching_jobs"]
    assert total(ordered(None, queues=[queue(4)], instances=[instance(1, S.NEW, pod="one")])) == 3


def test_a_number_is_divided_by_weight() -> None:
    ways = [candidate(ONE, endpoint("A"), weight=3), candidate(ONE, static("B"))]
    assert planned(plan(ways, order=Order("one", 8))) == {("one", "A"): 6, ("one", "B"): 2}


def test_a_number_of_none_starts_none() -> None:
    made = ordered(0, queues=[queue(9)])
    assert total(made) == 0
    assert codes(made, "one") == ["asked_for"]


@pytest.mark.parametrize(
    ("limited", "on", "more", "started", "clipped"),
    [
        (pod("one", max_instances=3), endpoint(), {}, 2, ReasonCode.POD_LIMIT),
        (ONE, endpoint(max_instances=3), {}, 2, ReasonCode.ENDPOINT_LIMIT),
        (ONE, endpoint(max_launch_per_tick=2), {}, 2, ReasonCode.LAUNCHES_PER_TICK),
        (ONE, endpoint(launch_rate=4), {"recent_launches": {"A": 1}}, 3, ReasonCode.LAUNCH_RATE),
        (ONE, endpoint(), {"holds": [Hold("A", HoldKind.AUTH, "no", NOW, NOW + MINUTE)]}, 0, ReasonCode.HELD),
        (ONE, endpoint(), {"holds": [Hold("A", HoldKind.AUTH, "no", NOW, NOW)]}, 1, ReasonCode.PROBING),
        (pod("one", campaign_end=date(2026, 2, 28)), endpoint(), {}, 0, ReasonCode.UNACTIVE),
        (pod("one", campaign_start=date(2026, 3, 2)), endpoint(), {}, 0, ReasonCode.UNACTIVE),
        (ONE, endpoint(), {"out_of_time": lambda: True}, 1, ReasonCode.TIME_BUDGET),
    ],
)
@pytest.mark.parametrize("vms", [7, None])
def test_limits_holds_and_campaigns_count_as_ever(
    limited: RunningPod, on: Endpoint, more: dict[str, Any], started: int, clipped: ReasonCode, vms: int | None
) -> None:
    rows = [instance(1, pod="one", busy_processors=1)]
    made = ordered(vms, limited, on, queues=[queue(7)], instances=rows, **more)
    assert total(made) == started
    assert made.decisions[0].clipped_by is clipped


def test_the_elastic_rule_is_not_asked() -> None:
    assert total(ordered(5, pod("one", cpu_per_instance=1e9), queues=[queue(1)])) == 5


def test_of_a_pod_that_is_not_there_nothing_is_planned() -> None:
    made = plan([candidate(ONE, endpoint())], [queue(9)], order=Order("three", 3))
    assert (made.launches, made.decisions) == ((), ())
