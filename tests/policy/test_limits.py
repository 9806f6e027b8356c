"""How many VMs there may be."""

import pytest

from tests.policy.builders import endpoint, instance, pod
from vmdirac.model.states import InstanceStatus as S
from vmdirac.policy.limits import Counts


def test_rows_that_hold_a_place_count() -> None:
    counts = Counts.of(
        [instance(1, S.NEW), instance(2, S.ERROR, vm_gone=True), instance(3, S.STOPPING, endpoint="B")], {}
    )
    assert counts.pod_limit(pod(max_instances=3)) is None
    assert str(counts.pod_limit(pod(max_instances=2))) == "the pod has 2 of at most 2 VMs"
    assert counts.endpoint_limit(endpoint(max_instances=2)) is None
    assert str(counts.endpoint_limit(endpoint(max_instances=1))) == "the endpoint has 1 of at most 1 VMs"
    # More than allowed, because the limit was lowered since.
    assert str(counts.pod_limit(pod(max_instances=1))) == "the pod has 2 of at most 1 VMs"


def test_what_is_planned_counts_too() -> None:
    counts = Counts.of([], {})
    one, on = pod(max_instances=5), endpoint(max_instances=5, max_launch_per_tick=2)
    counts.add(one, on)
    assert counts.pod_limit(one) is None
    assert counts.endpoint_limit(on) is None
    counts.add(pod("other"), on)
    assert str(counts.endpoint_limit(on)) == "the endpoint starts at most 2 VMs a tick"
    assert str(counts.pod_limit(pod(max_instances=1))) == "the pod has 1 of at most 1 VMs"
    assert counts.endpoint_limit(endpoint("B", max_launch_per_tick=1)) is None


def test_what_is_there_already_is_no_launch_of_this_tick() -> None:
    counts = Counts.of([instance(n) for n in range(5)], {})
    assert counts.endpoint_limit(endpoint(max_launch_per_tick=1)) is None


def test_a_limit_of_nothing() -> None:
    counts = Counts.of([], {})
    assert counts.pod_limit(pod(max_instances=0)) is not None
    assert counts.endpoint_limit(endpoint(max_instances=0)) is not None


@pytest.mark.parametrize(
    ("rate", "recent", "planned", "allowed"),
    [(2, 0, 1, True), (2, 1, 1, False), (2, 2, 0, False), (0.1, 0, 0, True), (0.1, 1, 0, False), (None, 99, 9, True)],
)
def test_what_was_started_lately_counts_for_the_rate(
    rate: float | None, recent: int, planned: int, *, allowed: bool
) -> None:
    counts, on = Counts.of([], {"A": recent}), endpoint(launch_rate=rate)
    for _ in range(planned):
        counts.add(pod(), on)
    assert (counts.endpoint_limit(on) is None) is allowed
    assert Counts.of([], {"B": 99}).endpoint_limit(on) is None


def test_what_is_said_of_the_rate() -> None:
    found = Counts.of([], {"A": 3}).endpoint_limit(endpoint(launch_rate=3))
    assert str(found) == "the endpoint started 3 VMs in the last 1 minutes, of at most 3"
