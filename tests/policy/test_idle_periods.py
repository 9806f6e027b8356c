"""When a VM without a job is let go: by load, at the end of what is paid for, at the end of its life."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import HOUR, MINUTE, NOW, SECOND, endpoint, instance, pod
from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus as S
from vmdirac.model.states import VmStopPolicy
from vmdirac.policy.idle import IdleRule, idle_instances, past_their_life

RULE = IdleRule(VmStopPolicy.ELASTIC, halt_margin=SECOND)
VMDIRAC = replace(RULE, halt_period=600 * SECOND, halt_before_margin=300 * SECOND)
"""Its defaults: HaltPeriod 600 s, HaltBeforeMargin 300 s."""


def of_age(age: timedelta, **values: Any) -> Instance:
    return instance(last_launch_at=NOW - age, heard_at=NOW, idle_since=NOW - HOUR, **values)


def is_idle(one: Instance, rule: IdleRule) -> bool:
    return idle_instances([one], {("pod", "A"): rule}, NOW) == [one]


def test_the_rule_is_what_pod_and_endpoint_say() -> None:
    one = pod(
        halt_margin=7 * MINUTE, min_working_load=0.5, halt_period=HOUR, halt_before_margin=9 * MINUTE, max_instances=3
    )
    on = endpoint(vm_stop_policy=VmStopPolicy.NEVER)
    assert IdleRule.of(one, on) == IdleRule(VmStopPolicy.NEVER, 7 * MINUTE, 0.5, HOUR, 9 * MINUTE)
    assert IdleRule.of(pod(), endpoint()) == IdleRule(VmStopPolicy.ELASTIC)


@pytest.mark.parametrize(
    ("threshold", "load", "idle"),
    [(None, 50.0, True), (0.5, 0.0, True), (0.5, 0.49, True), (0.5, 0.5, False), (0.5, 2.0, False)],
)
def test_load_keeps_a_vm_without_a_job_only_where_it_counts(
    threshold: float | None, load: float, *, idle: bool
) -> None:
    assert is_idle(of_age(HOUR, load=load), replace(RULE, min_working_load=threshold)) is idle


def test_load_alone_never_stops_a_vm_with_a_job() -> None:
    """VMDIRAC killed jobs that waited for their input."""
    assert not is_idle(of_age(HOUR, load=0.0, jobs=1), replace(RULE, min_working_load=1.0))


def test_a20_a_vm_is_let_go_in_the_second_half_of_each_ten_minutes() -> None:
    """Polled every 60 s, VMDIRAC's VMs halted at 300-540, 900-1140, 1500-1740 s of uptime; asked a moment later, so do
    ours."""
    polls = [*range(0, 1800, 60)]
    idle = [second for second in polls if is_idle(of_age(timedelta(seconds=second + 0.5)), VMDIRAC)]
    assert idle == [*range(300, 600, 60), *range(900, 1200, 60), *range(1500, 1800, 60)]


@pytest.mark.parametrize(
    ("age", "idle"),
    [
        (54 * MINUTE, False),
        (55 * MINUTE, False),
        (55 * MINUTE + SECOND, True),
        (HOUR - SECOND, True),
        (HOUR, False),
        (HOUR + SECOND, False),
        (119 * MINUTE, True),
    ],
)
def test_what_is_paid_for_by_the_hour_is_used_until_it_ends(age: timedelta, *, idle: bool) -> None:
    assert is_idle(of_age(age), replace(RULE, halt_period=HOUR, halt_before_margin=5 * MINUTE)) is idle


def test_the_period_begins_with_the_launch_as_far_as_that_is_known() -> None:
    rule = replace(RULE, halt_period=HOUR, halt_before_margin=5 * MINUTE)
    never_asked_for = instance(created_at=NOW - 58 * MINUTE, heard_at=NOW, idle_since=NOW - HOUR)
    assert is_idle(never_asked_for, rule)
    assert not is_idle(replace(never_asked_for, last_launch_at=NOW - 50 * MINUTE), rule)


@PROPERTY
@given(st.integers(0, 10**5), st.integers(1, 5000), st.integers(1, 5000))
def test_the_end_of_a_period_comes_once_in_each(age: int, period: int, margin: int) -> None:
    margin = min(margin, period)
    rule = replace(RULE, halt_period=period * SECOND, halt_before_margin=margin * SECOND)
    one = of_age(age * SECOND)
    assert is_idle(one, rule) is (age % period > period - margin)
    assert is_idle(one, rule) is is_idle(of_age((age + period) * SECOND), rule)


def ending(after: int, age: timedelta, status: S = S.RUNNING, **values: Any) -> Instance:
    return of_age(age, status=status, offer=Offer(1, max_lifetime=after), **values)


@pytest.mark.parametrize(
    ("lifetime", "age", "over"),
    [(3600, HOUR - SECOND, False), (3600, HOUR, True), (3600, 9 * HOUR, True), (0, 9999 * HOUR, False)],
)
def test_a_vm_that_has_lived_as_long_as_it_was_to_drains(lifetime: int, age: timedelta, *, over: bool) -> None:
    one = ending(lifetime, age, jobs=1)
    assert past_their_life([one], NOW) == ([one] if over else [])


@pytest.mark.parametrize("status", S)
def test_only_running_vms_reach_the_end_of_their_life(status: S) -> None:
    assert bool(past_their_life([ending(60, HOUR, status)], NOW)) is (status is S.RUNNING)
