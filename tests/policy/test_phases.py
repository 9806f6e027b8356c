"""The phases of a life, as its history tells them, and how durations are spread."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import START
from vmdirac.model.phase import Moment, Phase
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.policy.phases import Spread, spread, stays

NEW, RUNNING, STOPPING = InstanceStatus.NEW, InstanceStatus.RUNNING, InstanceStatus.STOPPING
SUBMITTED, HALTED, ERROR = InstanceStatus.SUBMITTED, InstanceStatus.HALTED, InstanceStatus.ERROR
WAITING, LOGGED_IN = InstanceStatus.WAIT_SSH_CONTEXT, InstanceStatus.CONTEXTUALIZING


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def told(*lines: tuple[float, InstanceStatus] | tuple[float, InstanceStatus, DrainPhase]) -> list[tuple[Phase, float]]:
    """The phases of a history that is told by seconds, and how long each of them was by the 100th second."""
    history = [Moment(number, at(line[0]), *line[1:]) for number, line in enumerate(lines, 1)]
    return [(stay.phase, stay.seconds(at(100))) for stay in stays(history)]


def test_a_whole_life() -> None:
    assert told(
        (0, NEW),
        (1, NEW),
        (3, SUBMITTED),
        (10, RUNNING),
        (50, STOPPING, DrainPhase.ASKED),
        (52, STOPPING, DrainPhase.ACKNOWLEDGED),
        (56, STOPPING, DrainPhase.EMPTY),
        (57, STOPPING, DrainPhase.DELETING),
        (60, STOPPING, DrainPhase.DELETING),
        (70, HALTED),
    ) == [
        (Phase.LAUNCH, 3),
        (Phase.BOOT, 7),
        (Phase.RUN, 40),
        (Phase.DRAIN_ASKED, 2),
        (Phase.DRAIN_ACKNOWLEDGED, 4),
        (Phase.DRAIN_EMPTY, 1),
        (Phase.DELETE, 13),
    ]


def test_over_ssh_tries_are_one_contextualization() -> None:
    life = told((0, NEW), (1, WAITING), (5, LOGGED_IN), (9, WAITING), (12, LOGGED_IN), (20, RUNNING))
    assert life == [(Phase.LAUNCH, 1), (Phase.BOOT, 4), (Phase.CONTEXTUALIZATION, 15), (Phase.RUN, 80)]


def test_a_drain_that_was_taken_back_makes_two_stays() -> None:
    life = told((0, RUNNING), (10, STOPPING, DrainPhase.ASKED), (15, RUNNING), (40, InstanceStatus.STALLED))
    assert life == [(Phase.RUN, 10), (Phase.DRAIN_ASKED, 5), (Phase.RUN, 25), (Phase.STALLED, 60)]


def test_by_force_it_waits_for_its_turn() -> None:
    assert told((0, RUNNING), (1, STOPPING), (4, STOPPING, DrainPhase.DELETING)) == [
        (Phase.RUN, 1),
        (Phase.FORCED, 3),
        (Phase.DELETE, 96),
    ]


def test_what_was_refused_is_in_no_phase_until_its_vm_is_found_after_all() -> None:
    assert told((0, NEW), (4, ERROR), (30, STOPPING), (31, HALTED)) == [(Phase.LAUNCH, 4), (Phase.FORCED, 1)]


def test_a_clock_that_goes_back_takes_no_time() -> None:
    assert told((5, NEW), (3, SUBMITTED), (4, HALTED)) == [(Phase.LAUNCH, 0), (Phase.BOOT, 1)]


def test_it_says_which_line_ended_a_stay() -> None:
    history = [Moment(4, at(0), NEW), Moment(7, at(1), NEW), Moment(9, at(2), SUBMITTED), Moment(12, at(3), SUBMITTED)]
    assert [(stay.last_id, stay.ended) for stay in stays(history)] == [(9, at(2)), (12, None)]


LINES = st.tuples(st.sampled_from(InstanceStatus), st.sampled_from([None, *DrainPhase]))


@given(st.lists(LINES, max_size=12))
def test_stays_follow_each_other_and_only_the_last_may_go_on(lines: list[tuple[InstanceStatus, DrainPhase]]) -> None:
    history = [Moment(number, at(number), *line) for number, line in enumerate(lines)]
    found = stays(history)
    for before, after in pairwise(found):
        assert before.ended is not None
        assert before.ended <= after.began
        assert before.phase is not after.phase or before.ended < after.began
    assert all(stay.began < stay.ended for stay in found if stay.ended is not None)


def test_percentiles_are_numbers_that_were_seen() -> None:
    assert spread([float(number) for number in range(1, 201)]) == Spread(200, 100, 180, 198)
    assert spread([7]) == Spread(1, 7, 7, 7)
    assert spread([3, 1, 2]) == Spread(3, 2, 3, 3)


def test_nothing_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no durations"):
        spread([])


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_so_many_are_not_longer(seconds: list[float]) -> None:
    found = spread(seconds)
    for percent, value in ((50, found.p50), (90, found.p90), (99, found.p99)):
        assert value in seconds
        assert sum(item <= value for item in seconds) * 100 >= percent * len(seconds)
        assert sum(item < value for item in seconds) * 100 < percent * len(seconds)
