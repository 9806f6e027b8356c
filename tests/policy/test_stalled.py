"""Which VMs have been silent for too long."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import HOUR, MINUTE, NOW, SECOND, instance
from vmdirac.model.instance import Instance
from vmdirac.model.pod import DeadlineOverrides, Deadlines
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.stalled import MarkStalled, SilenceAction, StopByForce, never_asked, silent_instances

S = InstanceStatus
LONG_AGO = NOW - 100 * HOUR


def judge(
    one: Instance,
    *,
    listed: datetime | None = NOW - SECOND,
    hearing: datetime = LONG_AGO,
    deadlines: Deadlines | None = None,
) -> SilenceAction | None:
    at = {} if listed is None else {"A": listed}
    found = silent_instances([one], lambda _: deadlines or Deadlines(), at, 10 * MINUTE, hearing, NOW)
    assert len(found) <= 1
    return found[0] if found else None


BOOTED = instance(1, S.SUBMITTED, created_at=NOW - 2 * HOUR, status_since=NOW - 15 * MINUTE - SECOND)
RUNNING = instance(1, S.RUNNING, heard_at=NOW - 40 * MINUTE - SECOND)
STALLED = instance(1, S.STALLED, heard_at=NOW - 2 * HOUR, status_since=NOW - 15 * MINUTE - SECOND)
DRAINING = instance(1, S.STOPPING, heard_at=NOW - 40 * MINUTE - SECOND, drain_phase=DrainPhase.ASKED)


@pytest.mark.parametrize("status", [S.SUBMITTED, S.WAIT_SSH_CONTEXT])
def test_a_vm_that_does_not_call_in_after_its_launch(status: InstanceStatus) -> None:
    one = replace(BOOTED, status=status)
    assert judge(one) == StopByForce(one, StopReason.BOOT_DEADLINE)
    assert judge(replace(one, status_since=NOW - 15 * MINUTE)) is None


def test_a_vm_whose_script_nobody_looks_after_is_given_up_later_than_those_that_do_would() -> None:
    one = replace(BOOTED, status=S.CONTEXTUALIZING, status_since=NOW - 25 * MINUTE - SECOND)
    assert judge(one) == StopByForce(one, StopReason.BOOT_DEADLINE)
    assert judge(replace(one, status_since=NOW - 25 * MINUTE)) is None


def test_a_vm_that_fell_silent() -> None:
    assert judge(RUNNING) == MarkStalled(RUNNING)
    assert judge(replace(RUNNING, heard_at=NOW - 40 * MINUTE)) is None


def test_a_running_vm_that_was_never_heard_of_has_its_deadline_from_then_on() -> None:
    one = replace(RUNNING, heard_at=None, status_since=NOW - 40 * MINUTE)
    assert judge(one) is None
    assert judge(replace(one, status_since=NOW - 41 * MINUTE)) is not None


def test_a_stalled_vm_is_given_up_after_its_grace() -> None:
    assert judge(STALLED) == StopByForce(STALLED, StopReason.STALLED)
    assert judge(replace(STALLED, status_since=NOW - 15 * MINUTE)) is None


@pytest.mark.parametrize("phase", [None, DrainPhase.ASKED, DrainPhase.ACKNOWLEDGED, DrainPhase.EMPTY])
def test_a_silent_stopping_vm_stays_stopping_and_is_deleted_by_force(phase: DrainPhase | None) -> None:
    one = replace(DRAINING, drain_phase=phase)
    assert judge(one) == StopByForce(one, StopReason.STALLED)
    assert judge(replace(one, heard_at=NOW - 40 * MINUTE)) is None


def test_what_is_being_deleted_already_is_left_to_the_delete() -> None:
    assert judge(replace(DRAINING, drain_phase=DrainPhase.DELETING)) is None
    assert judge(replace(DRAINING, forced=True)) is None


@pytest.mark.parametrize("status", [S.NEW, S.ERROR, S.HALTED])
def test_states_in_which_no_call_is_expected(status: InstanceStatus) -> None:
    assert judge(replace(RUNNING, status=status)) is None


@pytest.mark.parametrize("one", [BOOTED, RUNNING, STALLED, DRAINING], ids=lambda one: one.status)
def test_no_observation_no_destruction(one: Instance) -> None:
    """Without a complete list of its endpoint since it went silent, nothing is concluded."""
    assert judge(one, listed=None) is None
    assert judge(one, listed=NOW - 10 * MINUTE) is not None
    assert judge(one, listed=NOW - 10 * MINUTE - SECOND) is None, "what it said may not be true any more"


def test_a_list_from_before_it_counted_as_silent_says_nothing() -> None:
    hasty = Deadlines.resolve(DeadlineOverrides(silence=4 * MINUTE, stalled_grace=MINUTE))
    silent = replace(RUNNING, heard_at=NOW - 5 * MINUTE)
    assert judge(silent, listed=NOW - 2 * MINUTE, deadlines=hasty) is None
    assert judge(silent, listed=NOW - 2 * MINUTE + SECOND, deadlines=hasty) == MarkStalled(silent)
    stalled = replace(STALLED, status_since=NOW - 2 * MINUTE)
    assert judge(stalled, listed=NOW - 2 * MINUTE, deadlines=hasty) is None
    assert judge(stalled, listed=NOW - 2 * MINUTE + SECOND, deadlines=hasty) is not None


def test_a_list_of_another_endpoint_says_nothing() -> None:
    assert silent_instances([RUNNING], lambda _: Deadlines(), {"B": NOW}, 10 * MINUTE, LONG_AGO, NOW) == []


@pytest.mark.parametrize(
    ("one", "deadline"),
    [(BOOTED, 15 * MINUTE), (RUNNING, 40 * MINUTE), (STALLED, 15 * MINUTE), (DRAINING, 40 * MINUTE)],
    ids=lambda value: getattr(value, "status", ""),
)
def test_after_an_outage_of_ours_every_vm_has_its_whole_deadline_again(one: Instance, deadline: object) -> None:
    assert judge(one, hearing=NOW) is None
    assert judge(one, hearing=NOW - deadline) is None  # type: ignore[operator]
    assert judge(one, hearing=NOW - deadline - SECOND) is not None  # type: ignore[operator]


def test_each_is_judged_by_its_own_deadlines() -> None:
    patient = replace(RUNNING, id=2, endpoint="B")
    own = {1: Deadlines(), 2: Deadlines.resolve(DeadlineOverrides(silence=HOUR))}
    listed = {"A": NOW, "B": NOW}
    found = silent_instances([RUNNING, patient], lambda item: own[item.id], listed, 10 * MINUTE, LONG_AGO, NOW)
    assert found == [MarkStalled(RUNNING)]


def forgotten(one: Instance, deadlines: Deadlines | None = None) -> bool:
    return never_asked([one], lambda _: deadlines or Deadlines(), NOW) == [one]


RESERVED = instance(1, S.NEW, created_at=NOW - 5 * MINUTE - SECOND)


def test_a_row_that_the_cloud_was_never_asked_for_is_given_up_after_its_deadline() -> None:
    assert forgotten(RESERVED)
    assert not forgotten(replace(RESERVED, created_at=NOW - 5 * MINUTE))
    assert not forgotten(RESERVED, Deadlines.resolve(DeadlineOverrides(launch=HOUR)))


def test_a_row_that_the_cloud_was_asked_for_may_have_a_vm() -> None:
    assert not forgotten(replace(RESERVED, launch_attempts=1, last_launch_at=NOW - HOUR))
    # It is to be asked again, and the first answer may still come true.
    assert not forgotten(replace(RESERVED, launch_attempts=1, last_launch_at=None))


@pytest.mark.parametrize("status", [status for status in S if status is not S.NEW])
def test_only_new_rows_are_given_up_so(status: InstanceStatus) -> None:
    assert not forgotten(replace(RESERVED, status=status))


AGES = st.integers(0, 4000).map(lambda seconds: NOW - seconds * SECOND)


@PROPERTY
@given(
    one=st.builds(
        instance,
        st.just(1),
        st.sampled_from(InstanceStatus),
        heard_at=AGES,
        status_since=AGES,
        drain_phase=st.sampled_from([None, *DrainPhase]),
    ),
    hearing=AGES,
    listed=AGES,
)
def test_a_vm_heard_of_within_its_deadline_is_never_judged_silent(
    one: Instance, hearing: datetime, listed: datetime
) -> None:
    action = judge(one, hearing=hearing, listed=listed)
    if one.status in {S.RUNNING, S.STOPPING} and action is not None:
        assert one.heard_at is not None
        assert NOW - one.heard_at > 40 * MINUTE
        assert NOW - hearing > 40 * MINUTE
        assert listed > one.heard_at
