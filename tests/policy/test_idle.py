"""Which VMs have nothing to do any more."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import HOUR, MINUTE, NOW, SECOND, instance, pod
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus, VmStopPolicy
from vmdirac.policy.idle import IdleRule, idle_instances, outside_campaign

RULE = IdleRule(VmStopPolicy.ELASTIC, halt_margin=5 * MINUTE)
RULES = {("pod", "A"): RULE}
IDLE = instance(heard_at=NOW - 10 * SECOND, idle_since=NOW - 10 * MINUTE)


def is_idle(one: Instance, rule: IdleRule = RULE) -> bool:
    return idle_instances([one], {("pod", "A"): rule}, NOW) == [one]


def test_idle_is_what_the_vm_said_for_long_enough() -> None:
    assert is_idle(IDLE)
    assert is_idle(replace(IDLE, idle_since=NOW - 5 * MINUTE))
    assert not is_idle(replace(IDLE, idle_since=NOW - 5 * MINUTE + SECOND))
    assert not is_idle(replace(IDLE, idle_since=None))


def test_a_vm_with_work_is_not_idle() -> None:
    assert not is_idle(replace(IDLE, jobs=1))
    assert not is_idle(replace(IDLE, processors=4, busy_processors=1))


def test_a_silent_vm_is_not_idle() -> None:
    assert is_idle(replace(IDLE, heard_at=NOW - 3 * MINUTE))
    assert not is_idle(replace(IDLE, heard_at=NOW - 3 * MINUTE - SECOND))
    assert not is_idle(replace(IDLE, heard_at=None))
    assert is_idle(replace(IDLE, heard_at=NOW - 5 * MINUTE, heartbeat_period=120.0)), "by its own period"


@pytest.mark.parametrize("status", InstanceStatus)
def test_only_running_vms_are_idle(status: InstanceStatus) -> None:
    assert is_idle(replace(IDLE, status=status)) is (status is InstanceStatus.RUNNING)


def test_never_is_exempt() -> None:
    assert not is_idle(IDLE, replace(RULE, stop_policy=VmStopPolicy.NEVER))


def test_vms_without_a_rule_are_left_alone() -> None:
    assert idle_instances([IDLE], {}, NOW) == []
    assert idle_instances([IDLE], {("pod", "B"): RULE, ("other", "A"): RULE}, NOW) == []


def test_each_is_judged_by_its_own_rule() -> None:
    other = replace(IDLE, id=2, endpoint="B")
    rules = {**RULES, ("pod", "B"): replace(RULE, halt_margin=HOUR)}
    assert idle_instances([other, IDLE], rules, NOW) == [IDLE]


TIMES = st.one_of(st.none(), st.integers(0, 5000).map(lambda seconds: NOW - seconds * SECOND))


@PROPERTY
@given(
    one=st.builds(
        instance,
        st.just(1),
        st.sampled_from(InstanceStatus),
        heard_at=TIMES,
        idle_since=TIMES,
        jobs=st.integers(0, 2),
        busy_processors=st.integers(0, 2),
    ),
    policy=st.sampled_from(VmStopPolicy),
)
def test_a_vm_that_works_is_never_idle(one: Instance, policy: VmStopPolicy) -> None:
    if is_idle(one, replace(RULE, stop_policy=policy)):
        assert policy is VmStopPolicy.ELASTIC
        assert (one.status, one.jobs, one.busy_processors) == (InstanceStatus.RUNNING, 0, 0)
        assert one.heard_at is not None
        assert NOW - one.heard_at <= 3 * MINUTE


def test_vms_of_a_campaign_that_is_over_drain() -> None:
    today = NOW.date()
    over = pod("over", campaign_end=today - timedelta(days=1))
    ahead = pod("ahead", campaign_start=date(2027, 1, 1))
    runs = pod("runs", campaign_start=today, campaign_end=today)
    pods = {item.name: item for item in (over, ahead, runs)}
    rows = [instance(n, pod=name) for n, name in enumerate(["over", "ahead", "runs", "not configured"])]
    assert [row.pod for row in outside_campaign(rows, pods, today)] == ["over", "ahead"]


@pytest.mark.parametrize("status", InstanceStatus)
def test_only_running_vms_of_a_campaign_are_asked(status: InstanceStatus) -> None:
    over = pod(campaign_end=NOW.date() - timedelta(days=1))
    found = outside_campaign([instance(1, status)], {"pod": over}, NOW.date())
    assert bool(found) is (status is InstanceStatus.RUNNING)
