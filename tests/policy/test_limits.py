"""How many VMs there may be."""

from collections.abc import Mapping, Sequence

import pytest

from tests.policy.builders import endpoint, instance, pod
from vmdirac.model.account import AccountLimit, Measure
from vmdirac.model.cloud import Shape
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus as S
from vmdirac.policy.limits import Counts

ONE = Shape(1)


def counted(
    *there: Instance,
    recent: Mapping[str, int] | None = None,
    shapes: Mapping[tuple[str, str], Shape] | None = None,
    account: Mapping[str, Sequence[AccountLimit]] | None = None,
) -> Counts:
    return Counts.of(there, recent or {}, shapes or {}, account or {})


def test_rows_that_hold_a_place_count() -> None:
    counts = counted(instance(1, S.NEW), instance(2, S.ERROR, vm_gone=True), instance(3, S.STOPPING, endpoint="B"))
    assert counts.pod_limit(pod(max_instances=3)) is None
    assert str(counts.pod_limit(pod(max_instances=2))) == "the pod has 2 of at most 2 VMs"
    assert counts.endpoint_limit(endpoint(max_instances=2)) is None
    assert str(counts.endpoint_limit(endpoint(max_instances=1))) == "the endpoint has 1 of at most 1 VMs"
    # More than allowed, because the limit was lowered since.
    assert str(counts.pod_limit(pod(max_instances=1))) == "the pod has 2 of at most 1 VMs"


def test_what_is_planned_counts_too() -> None:
    counts = counted()
    one, on = pod(max_instances=5), endpoint(max_instances=5, max_launch_per_tick=2)
    counts.add(one, on, ONE)
    assert counts.pod_limit(one) is None
    assert counts.endpoint_limit(on) is None
    counts.add(pod("other"), on, ONE)
    assert str(counts.endpoint_limit(on)) == "the endpoint starts at most 2 VMs a tick"
    assert str(counts.pod_limit(pod(max_instances=1))) == "the pod has 1 of at most 1 VMs"
    assert counts.endpoint_limit(endpoint("B", max_launch_per_tick=1)) is None


def test_what_is_there_already_is_no_launch_of_this_tick() -> None:
    counts = counted(*(instance(n) for n in range(5)))
    assert counts.endpoint_limit(endpoint(max_launch_per_tick=1)) is None


def test_a_limit_of_nothing() -> None:
    counts = counted()
    assert counts.pod_limit(pod(max_instances=0)) is not None
    assert counts.endpoint_limit(endpoint(max_instances=0)) is not None


@pytest.mark.parametrize(
    ("rate", "recent", "planned", "allowed"),
    [(2, 0, 1, True), (2, 1, 1, False), (2, 2, 0, False), (0.1, 0, 0, True), (0.1, 1, 0, False), (None, 99, 9, True)],
)
def test_what_was_started_lately_counts_for_the_rate(
    rate: float | None, recent: int, planned: int, *, allowed: bool
) -> None:
    counts, on = counted(recent={"A": recent}), endpoint(launch_rate=rate)
    for _ in range(planned):
        counts.add(pod(), on, ONE)
    assert (counts.endpoint_limit(on) is None) is allowed
    assert counted(recent={"B": 99}).endpoint_limit(on) is None


def test_what_is_said_of_the_rate() -> None:
    found = counted(recent={"A": 3}).endpoint_limit(endpoint(launch_rate=3))
    assert str(found) == "the endpoint started 3 VMs in the last 1 minutes, of at most 3"


def test_what_others_use_of_the_account_is_no_room_for_us() -> None:
    limits = (AccountLimit(Measure.INSTANCES, 10, 3), AccountLimit(Measure.PROCESSORS, 16, 8))
    there = [instance(n, flavor="small") for n in (1, 2)]
    counts = counted(*there, shapes={("A", "small"): Shape(2)}, account={"A": limits})
    assert counts.account_limit(endpoint(), Shape(4)) is None
    assert str(counts.account_limit(endpoint(), Shape(5))) == (
        "the account may have 16 processors: 4 are ours, planned ones included, and 8 others'"
    )
    counts.add(pod(), endpoint(), Shape(4))
    found = counts.account_limit(endpoint(), ONE)
    assert str(found) == "the account may have 16 processors: 8 are ours, planned ones included, and 8 others'"
    assert counts.account_limit(endpoint("B"), Shape(1000)) is None, "another account"
