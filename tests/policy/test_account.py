"""What of an account is ours, and what it has room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.builders import instance
from vmdirac.model.account import AccountLimit, Measure, Usage
from vmdirac.model.cloud import CloudLimits, Shape
from vmdirac.model.states import InstanceStatus as S
from vmdirac.policy.account import account_limits, first_exceeded, usage_by_endpoint

AMOUNTS = st.integers(0, 10**6)


def test_instances_use_what_their_flavor_has_and_not_what_their_pod_offers() -> None:
    shapes = {("A", "small"): Shape(2, 4000)}
    there = [
        instance(1, flavor="small", processors=16, memory_mb=4000),
        instance(2, flavor="forgotten", processors=3, memory_mb=500),
        instance(3, endpoint="B", flavor="small", processors=1),
        instance(4, S.HALTED, flavor="small"),
        instance(5, S.ERROR, flavor="small", vm_gone=True),
    ]
    used = usage_by_endpoint(there, shapes)
    assert used == {"A": Usage(2, 5, 4500), "B": Usage(1, 1, 0)}
    assert used["C"] == Usage()


def test_only_limits_that_are_told_with_their_use_are_limits() -> None:
    told = CloudLimits(instances=10, instances_used=4, processors=100, memory_mb_used=7)
    assert account_limits(told, Usage(1, 1, 1)) == (AccountLimit(Measure.INSTANCES, 10, 3),)
    assert account_limits(CloudLimits(), Usage(1, 1, 1)) == ()


def test_a_vm_that_the_cloud_does_not_count_yet_makes_others_use_nothing() -> None:
    told = CloudLimits(processors=10, processors_used=2)
    assert account_limits(told, Usage(1, 4)) == (AccountLimit(Measure.PROCESSORS, 10, 0),)


@pytest.mark.parametrize(
    ("usage", "exceeded"),
    [
        (Usage(7, 8, 0), None),
        (Usage(8, 8, 0), Measure.INSTANCES),
        (Usage(1, 9, 0), Measure.PROCESSORS),
        (Usage(1, 1, 1001), Measure.MEMORY),
        (Usage(99, 99, 9999), Measure.INSTANCES),
    ],
)
def test_the_first_limit_that_is_exceeded_is_told(usage: Usage, exceeded: Measure | None) -> None:
    limits = (
        AccountLimit(Measure.INSTANCES, 10, 3),
        AccountLimit(Measure.PROCESSORS, 16, 8),
        AccountLimit(Measure.MEMORY, 1000, 0),
    )
    found = first_exceeded(limits, usage)
    assert (found and found.measure) == exceeded


@given(limit=AMOUNTS, used=AMOUNTS, ours=AMOUNTS, more=AMOUNTS)
def test_what_fits_beside_others_is_what_is_left_of_the_quota(limit: int, used: int, ours: int, more: int) -> None:
    """As long as the cloud counts what is ours, there is room exactly for what it has left."""
    told = CloudLimits(processors=limit, processors_used=ours + used)
    limits = account_limits(told, Usage(0, ours))
    fits = first_exceeded(limits, Usage(0, ours + more)) is None
    assert fits == (ours + used + more <= limit)
