"""What the lines of a history tell that is to be counted."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from vmdirac.model.event import Event, EventKind
from vmdirac.model.phase import Moment
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.events import events

S = InstanceStatus


def history(*lines: tuple[S, DrainPhase | None, str | None]) -> list[Moment]:
    return [Moment(number, START + timedelta(seconds=10 * number), *line) for number, line in enumerate(lines, 1)]


LIFE = history(
    (S.NEW, None, None),
    (S.NEW, None, "transient"),
    (S.SUBMITTED, None, None),
    (S.RUNNING, None, None),
    (S.STOPPING, DrainPhase.DELETING, None),
    (S.STOPPING, DrainPhase.DELETING, "throttle"),
    (S.HALTED, DrainPhase.DELETING, None),
)


def told(lines: list[Moment], new: set[int], reason: StopReason | None = StopReason.IDLE) -> set[tuple[str, str, int]]:
    found = events(lines, new, "pod", "alpha", reason)
    assert all((event.pod, event.endpoint) == ("pod", "alpha") for event in found)
    return {(event.kind.value, event.what, int((event.at - START).total_seconds())) for event in found}


def test_a_whole_life() -> None:
    assert told(LIFE, set(range(1, 8))) == {
        ("launch_failure", "transient", 20),
        ("launch", "", 30),
        ("phase", "launch", 30),
        ("phase", "boot", 40),
        ("phase", "run", 50),
        ("delete_failure", "throttle", 60),
        ("halt", "idle", 70),
        ("phase", "delete", 70),
    }


def test_each_line_tells_its_own_whenever_it_is_counted() -> None:
    apart = [told(LIFE, {number}) for number in range(1, 8)]
    assert sum(len(part) for part in apart) == len(told(LIFE, set(range(1, 8))))
    assert set.union(*apart) == told(LIFE, set(range(1, 8)))
    assert told(LIFE, set()) == set()


def test_how_long_a_phase_was() -> None:
    [launch, phase] = events(LIFE, {3}, "", "beta", None)
    assert launch == Event(EventKind.LAUNCH, LIFE[2].at, "", "beta")
    assert phase == Event(EventKind.PHASE, LIFE[2].at, "", "beta", "launch", 20.0)


def test_what_went_by_itself_is_gone() -> None:
    assert ("halt", "gone", 20) in told(history((S.RUNNING, None, None), (S.HALTED, None, None)), {2}, None)


def test_what_was_never_launched_is_no_halt() -> None:
    assert told(history((S.NEW, None, None), (S.HALTED, None, None)), {1, 2}) == {("phase", "launch", 20)}


def test_what_a_cloud_took_and_could_not_start_is_a_failed_launch() -> None:
    lines = history(
        (S.SUBMITTED, None, None),
        (S.STOPPING, DrainPhase.DELETING, "capacity"),
        (S.STOPPING, DrainPhase.DELETING, "throttle"),
    )
    found = {(kind, what) for kind, what, _ in told(lines, {2, 3}) if kind != "phase"}
    assert found == {("launch_failure", "capacity"), ("delete_failure", "throttle")}


def test_a_vm_that_is_found_when_its_launch_was_given_up_was_launched() -> None:
    lines = history((S.NEW, None, None), (S.ERROR, None, "capacity"), (S.STOPPING, None, None), (S.HALTED, None, None))
    found = {(kind, what) for kind, what, _ in told(lines, {2, 3, 4}) if kind != "phase"}
    assert found == {("launch_failure", "capacity"), ("launch", ""), ("halt", "idle")}


def test_a_line_about_a_vm_that_is_gone_is_no_second_halt() -> None:
    lines = history((S.RUNNING, None, None), (S.HALTED, None, None), (S.HALTED, None, None))
    assert told(lines, {3}) == set()


def test_another_try_over_ssh_and_a_stop_taken_back_are_no_launches() -> None:
    over_ssh = history((S.NEW, None, None), (S.WAIT_SSH_CONTEXT, None, None), (S.CONTEXTUALIZING, None, None))
    again = [*over_ssh, Moment(4, START, S.WAIT_SSH_CONTEXT)]
    assert told(over_ssh, {2}) == {("launch", "", 20), ("phase", "launch", 20)}
    assert told(again, {4}) == set()
    back = history((S.STOPPING, DrainPhase.ASKED, None), (S.SUBMITTED, None, None))
    assert told(back, {2}) == {("phase", "drain_asked", 20)}
