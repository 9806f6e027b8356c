"""What is done about the difference between the cloud's list and our rows."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.policy.builders import HOUR, MINUTE, NOW, SECOND
from tests.policy.listed import BEGAN, LONG_AGO, WORKING, asked, decide, row, stopping, vm
from vmdirac.model.cloud import DEAD, CloudInstance, CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.pod import DeadlineOverrides, Deadlines
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.policy.reconcile import (
    Adopt,
    ConfirmGone,
    CountAbsence,
    Delete,
    DeleteDuplicate,
    GiveUp,
    Interrupt,
    LaunchAgain,
    Observe,
    StopDead,
    Unknown,
    reconcile,
)

S = InstanceStatus

# Adoption


@pytest.mark.parametrize("state", [*WORKING, *DEAD])
def test_a_launch_whose_answer_was_lost_is_adopted_by_its_token(state: CloudState) -> None:
    lost, seen = asked(), vm("vm-9", state=state)
    assert decide([lost], [seen]) == [Adopt(lost, seen)]
    # However young it is, and even if it is to be asked for again or was given up.
    for other in (asked(ago=20 * SECOND), asked(3), replace(lost, last_launch_at=None)):
        assert decide([other], [seen]) == [Adopt(other, seen)]


@pytest.mark.parametrize("vm_gone", [False, True])
def test_a_vm_of_a_refused_launch_is_adopted_too(*, vm_gone: bool) -> None:
    refused = row(S.ERROR, cloud_id=None, vm_gone=vm_gone)
    assert decide([refused], [vm("vm-9")]) == [Adopt(refused, vm("vm-9"))]


def test_a_vm_that_is_gone_already_is_not_adopted() -> None:
    lost = asked()
    assert decide([lost], [vm("vm-9", state=CloudState.TERMINATED)]) == [CountAbsence(lost)]


def test_of_two_vms_with_one_token_the_lower_id_is_adopted() -> None:
    lost, low, high = asked(), vm("vm-1"), vm("vm-2")
    for listed in ([low, high], [high, low]):
        assert decide([lost], listed) == [Adopt(lost, low), DeleteDuplicate(lost, high)]


def test_the_vm_that_the_row_has_stays_whatever_its_twins_id() -> None:
    running, mine, twin = row(cloud_id="vm-5"), vm("vm-5"), vm("vm-4")
    assert decide([running], [twin, mine]) == [DeleteDuplicate(running, twin), Observe(running, mine)]


def test_a_vm_listed_twice_is_no_duplicate() -> None:
    """Pages shift while they are read."""
    lost, running = asked(), row()
    assert decide([lost], [vm("vm-9"), vm("vm-9")]) == [Adopt(lost, vm("vm-9"))]
    assert decide([running], [vm(), vm()]) == [Observe(running, vm())]
    assert decide([], [vm(), vm()]) == [Unknown(vm())]


def test_another_rows_vm_is_neither_adopted_nor_a_duplicate() -> None:
    """Whose it is, is said by its id, whatever token the cloud shows with it."""
    lost, running = asked(), row(id_=2, cloud_id="vm-2")
    astray = vm("vm-2", token="token-1")
    assert decide([lost, running], [astray]) == [CountAbsence(lost), Observe(running, astray)]
    both = decide([lost, running], [astray, vm("vm-1")])
    assert both == [Adopt(lost, vm("vm-1")), Observe(running, astray)]


# Launching again


def test_a_launch_is_given_its_deadline() -> None:
    young = asked(ago=5 * MINUTE + 10 * SECOND)
    assert decide([young], []) == []
    assert decide([asked(ago=5 * MINUTE + 11 * SECOND)], []) != []


def test_a_short_deadline_is_no_shorter_than_vms_take_to_be_listed() -> None:
    hasty = Deadlines.resolve(DeadlineOverrides(launch=SECOND))
    assert decide([asked(ago=MINUTE)], [], deadlines=hasty) == []
    assert decide([asked(ago=3 * MINUTE)], [], deadlines=hasty) == [CountAbsence(asked(ago=3 * MINUTE))]


def test_it_takes_two_complete_lists_without_it() -> None:
    once = asked()
    assert decide([once], []) == [CountAbsence(once)]
    twice = replace(once, absences=1)
    assert decide([twice], []) == [LaunchAgain(twice)]


@pytest.mark.parametrize(("attempts", "action"), [(1, LaunchAgain), (2, LaunchAgain), (3, GiveUp), (4, GiveUp)])
def test_the_cloud_is_asked_three_times_at_most(attempts: int, action: Any) -> None:
    absent = asked(attempts, absences=1)
    assert decide([absent], []) == [action(absent)]


def test_a_row_that_the_cloud_was_never_asked_for_waits_for_the_next_tick() -> None:
    assert decide([replace(asked(0, absences=5), last_launch_at=None)], []) == []


def test_a_refused_launch_without_a_vm_is_done_with() -> None:
    assert decide([row(S.ERROR, cloud_id=None, vm_gone=True)], []) == []
    unsure = row(S.ERROR, cloud_id=None)
    assert decide([unsure], []) == [CountAbsence(unsure)]
    assert decide([replace(unsure, last_launch_at=NOW - MINUTE)], []) == []
    unsure = replace(unsure, absences=1)
    assert decide([unsure], []) == [ConfirmGone(unsure)]


# What is there, and what is not


@pytest.mark.parametrize("status", [S.SUBMITTED, S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING, S.RUNNING, S.STALLED, S.ERROR])
@pytest.mark.parametrize("state", CloudState)
def test_what_is_listed(status: InstanceStatus, state: CloudState) -> None:
    one, seen = row(status), vm(state=state)
    if state is CloudState.TERMINATED:
        assert decide([one], [seen]) == [ConfirmGone(one, seen)]
    elif state in DEAD:
        assert decide([one], [seen]) == [Observe(one, seen), StopDead(one, seen)]
    else:
        assert decide([one], [seen]) == [Observe(one, seen)]


@pytest.mark.parametrize("status", [status for status in S if status not in {S.NEW, S.HALTED}])
def test_absence_needs_two_complete_lists(status: InstanceStatus) -> None:
    one = row(status)
    assert decide([one], []) == [CountAbsence(one)]
    again = replace(one, absences=1)
    assert decide([again], []) == [ConfirmGone(again)]


@pytest.mark.parametrize("absences", [0, 1, 7])
def test_a_vm_that_calls_in_is_there_whatever_the_list_says(absences: int) -> None:
    heard = row(absences=absences, heard_at=BEGAN - 3 * MINUTE)
    assert decide([heard], []) == []
    assert decide([replace(heard, heard_at=NOW)], []) == []
    assert decide([replace(heard, heard_at=BEGAN - 3 * MINUTE - SECOND)], []) != []
    # What the cloud says itself, and a delete that it took, count all the same.
    gone = vm(state=CloudState.TERMINATED)
    assert decide([heard], [gone]) == [ConfirmGone(heard, gone)]
    deleted = replace(heard, status=S.STOPPING, delete_asked_at=NOW - MINUTE)
    assert decide([deleted], []) == [ConfirmGone(deleted)]


@pytest.mark.parametrize("state", sorted(DEAD))
@pytest.mark.parametrize("status", [S.RUNNING, S.STOPPING])
def test_a_vm_that_calls_in_works_whatever_state_the_cloud_says_it_is_in(
    status: InstanceStatus, state: CloudState
) -> None:
    """Nova says ERROR of guests that run, after a resize, a migration or a reboot that failed."""
    phase = DrainPhase.ACKNOWLEDGED if status is S.STOPPING else None
    heard, seen = row(status, heard_at=BEGAN - 3 * MINUTE, drain_phase=phase), vm(state=state)
    assert decide([heard], [seen]) == [Observe(heard, seen)]
    silent = replace(heard, heard_at=BEGAN - 3 * MINUTE - SECOND)
    assert len(decide([silent], [seen])) == 2


@pytest.mark.parametrize("hearing", [None, BEGAN, BEGAN - 3 * MINUTE])
def test_of_one_that_could_not_have_called_nothing_is_concluded(hearing: datetime | None) -> None:
    one, seen = row(absences=7, heard_at=BEGAN - 5 * HOUR), vm(state=CloudState.ERROR)
    assert decide([one], [], hearing=hearing) == []
    assert decide([one], [seen], hearing=hearing) == [Observe(one, seen)]
    never = replace(one, status=S.SUBMITTED, heard_at=None)
    assert decide([never], [], hearing=hearing) == [ConfirmGone(never)]
    assert decide([never], [seen], hearing=hearing) == [Observe(never, seen), StopDead(never, seen)]


@pytest.mark.parametrize("absences", [0, 1, 7])
def test_a_young_vm_may_not_be_listed_yet(absences: int) -> None:
    young = row(S.SUBMITTED, last_launch_at=BEGAN - 2 * MINUTE, absences=absences)
    assert decide([young], []) == []
    assert decide([replace(young, last_launch_at=BEGAN - 2 * MINUTE - SECOND)], []) != []


def test_its_age_is_counted_to_the_beginning_of_the_list() -> None:
    """A list that took ten minutes to read tells of the time when it was begun."""
    one = row(S.SUBMITTED, last_launch_at=NOW - 11 * MINUTE, changed_at=NOW - 11 * MINUTE, absences=1)
    assert decide([one], [], began=NOW - 10 * MINUTE) == []
    lost = asked(ago=11 * MINUTE, changed_at=NOW - 11 * MINUTE, absences=1)
    assert decide([lost], [], began=NOW - 10 * MINUTE) == []


def test_after_an_accepted_delete_one_list_without_it_is_enough() -> None:
    deleted = row(S.STOPPING, drain_phase=DrainPhase.DELETING, delete_asked_at=NOW - MINUTE, delete_attempts=1)
    assert decide([deleted], []) == [ConfirmGone(deleted)]
    young = replace(deleted, last_launch_at=NOW - 40 * SECOND, seen_at=NOW - 30 * SECOND)
    assert decide([young], []) == [ConfirmGone(young)]
    never_seen = replace(young, seen_at=None)
    assert decide([never_seen], []) == [], "it may merely not be visible yet"


@pytest.mark.parametrize("listed", [[], [vm()], [vm(state=CloudState.TERMINATED)], [vm(state=CloudState.ERROR)]])
@pytest.mark.parametrize("changed", [BEGAN, BEGAN + SECOND, NOW])
@pytest.mark.parametrize("one", [row(absences=1), row(S.STOPPING, forced=True), asked(absences=1)])
def test_a_row_that_changed_after_the_list_began_is_skipped(
    one: Instance, changed: datetime, listed: list[CloudInstance]
) -> None:
    assert decide([replace(one, changed_at=changed)], listed) == []


def test_vms_that_no_row_knows_are_told() -> None:
    strange, gone = vm("vm-8", "token-8"), vm("vm-7", "token-7", CloudState.TERMINATED)
    assert decide([row()], [strange, vm(), gone]) == [Observe(row(), vm()), Unknown(strange)]


def test_a_vm_that_lost_its_token_is_still_known_by_its_id() -> None:
    one, bare = row(), vm(token="")
    assert decide([one], [bare]) == [Observe(one, bare)]


# Deleting


@pytest.mark.parametrize(
    ("one", "deleted"),
    [
        (stopping(DrainPhase.ASKED), False),
        (stopping(DrainPhase.ACKNOWLEDGED), False),
        (stopping(None), False),
        (stopping(DrainPhase.EMPTY), True),
        (stopping(DrainPhase.DELETING), True),
        (stopping(DrainPhase.ASKED, forced=True), True),
        (stopping(None, forced=True), True),
    ],
)
@pytest.mark.parametrize("state", WORKING)
def test_a_stopping_vm_is_deleted_when_empty_or_forced(one: Instance, state: CloudState, *, deleted: bool) -> None:
    seen = vm(state=state)
    assert decide([one], [seen]) == [Observe(one, seen), *([Delete(one)] if deleted else [])]


@pytest.mark.parametrize("phase", [None, *DrainPhase])
@pytest.mark.parametrize("state", sorted(DEAD))
def test_a_vm_that_died_while_it_drained_is_deleted(phase: DrainPhase | None, state: CloudState) -> None:
    one, seen = stopping(phase), vm(state=state)
    assert decide([one], [seen]) == [Observe(one, seen), Delete(one)]


@pytest.mark.parametrize(
    ("attempts", "pause"),
    [
        (1, 10 * MINUTE),
        (2, 20 * MINUTE),
        (3, 40 * MINUTE),
        (4, 80 * MINUTE),
        (7, 640 * MINUTE),
        (50, 640 * MINUTE),
    ],
)
@pytest.mark.parametrize("state", [CloudState.RUNNING, CloudState.ERROR])
def test_an_accepted_delete_is_asked_again_with_doubled_pauses(
    attempts: int, pause: timedelta, state: CloudState
) -> None:
    long_ago = {"last_launch_at": NOW - 100 * HOUR, "changed_at": NOW - 50 * HOUR, "delete_attempts": attempts}
    one = stopping(DrainPhase.DELETING, delete_asked_at=NOW - pause, **long_ago)
    seen = vm(state=state)
    assert decide([one], [seen]) == [Observe(one, seen)]
    one = replace(one, delete_asked_at=NOW - pause - SECOND)
    assert decide([one], [seen]) == [Observe(one, seen), Delete(one)]


def test_observations_come_before_consequences() -> None:
    one = stopping(DrainPhase.EMPTY)
    assert [type(action) for action in decide([one], [vm()])] == [Observe, Delete]


def test_each_row_is_judged_by_its_own_deadlines() -> None:
    hasty, patient = asked(id_=1), asked(id_=2)
    own = {1: Deadlines(), 2: Deadlines.resolve(DeadlineOverrides(launch=HOUR))}
    assert reconcile([hasty, patient], [], lambda item: own[item.id], BEGAN, LONG_AGO, NOW) == [CountAbsence(hasty)]


# Interruption


@pytest.mark.parametrize("status", [S.SUBMITTED, S.RUNNING, S.STALLED])
def test_a_vm_that_the_cloud_is_about_to_take_back_is_interrupted(status: InstanceStatus) -> None:
    mine, seen = row(status), replace(vm(), interrupted=True)
    assert decide([mine], [seen]) == [Observe(mine, seen), Interrupt(mine, seen)]


def test_one_that_is_stopping_already_is_only_observed() -> None:
    mine, seen = stopping(), replace(vm(), interrupted=True)
    assert decide([mine], [seen]) == [Observe(mine, seen)]


def test_one_that_was_taken_back_is_dead() -> None:
    mine, seen = row(S.RUNNING), replace(vm(state=CloudState.STOPPED), interrupted=True)
    assert decide([mine], [seen]) == [Observe(mine, seen), StopDead(mine, seen)]
