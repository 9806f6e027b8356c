"""Which VMs are contextualized now, which again, and which are given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.builders import HOUR, MINUTE, NOW, SECOND, instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.ssh import SSH, SshContext
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.contextualize import (
    LONGEST_PAUSE,
    MAX_TRIES,
    ContextAction,
    GiveUp,
    Leave,
    TryAgain,
    Visit,
    decide,
    pause_after,
)

S = InstanceStatus
LONG_AGO = NOW - 24 * HOUR


def judge(
    status: InstanceStatus, *, since: timedelta = MINUTE, hearing: datetime | None = LONG_AGO, **context: Any
) -> ContextAction | None:
    one = instance(1, status, status_since=NOW - since, context_method=SSH)
    found = decide([(one, SshContext(1, **context))], lambda _: Deadlines(), hearing, NOW)
    assert len(found) <= 1
    return found[0] if found else None


def test_one_that_waits_is_visited() -> None:
    assert isinstance(judge(S.WAIT_SSH_CONTEXT), Visit)
    assert isinstance(judge(S.WAIT_SSH_CONTEXT, since=HOUR), Visit), "the boot deadline is for others to judge"


@pytest.mark.parametrize("status", [S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING, S.RUNNING])
def test_one_that_failed_is_left_alone_for_a_while(status: InstanceStatus) -> None:
    failed: dict[str, Any] = {"failures": 1, "begun_at": NOW - MINUTE, "tries": 1}
    assert judge(status, visited_at=NOW - 14 * SECOND, **failed) is None
    assert isinstance(judge(status, visited_at=NOW - 15 * SECOND, **failed), Visit)


def test_pauses_get_longer_up_to_a_bound() -> None:
    pauses = [pause_after(failures) for failures in range(1000)]
    assert pauses[:5] == [timedelta(0), 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE]
    assert set(pauses[5:]) == {LONGEST_PAUSE}


def test_a_script_is_looked_at_until_it_ends() -> None:
    begun: dict[str, Any] = {"tries": 1, "begun_at": NOW - MINUTE}
    assert isinstance(judge(S.CONTEXTUALIZING, **begun), Visit)
    assert judge(S.CONTEXTUALIZING, finished=True, exit_status=0, **begun) is None
    assert isinstance(judge(S.RUNNING, **begun), Visit)
    assert isinstance(judge(S.RUNNING, tries=1, begun_at=NOW - 11 * MINUTE), Leave)


def test_a_script_that_ended_badly_is_tried_again_at_once_and_the_last_time_given_up() -> None:
    ended: dict[str, Any] = {"begun_at": NOW - SECOND, "finished": True, "exit_status": 7}
    again = judge(S.CONTEXTUALIZING, tries=MAX_TRIES - 1, **ended)
    assert isinstance(again, TryAgain)
    assert again.why == "its script ended with status 7 (try 2 of 3)"
    assert isinstance(judge(S.CONTEXTUALIZING, tries=MAX_TRIES, **ended), GiveUp)
    assert judge(S.RUNNING, tries=1, **ended) is None, "it works"


@pytest.mark.parametrize(
    ("finished", "why"), [(True, "it has not called in"), (False, "has not ended before its context deadline")]
)
def test_one_that_takes_longer_than_its_deadline(finished: bool, why: str) -> None:
    late = 10 * MINUTE + SECOND
    begun: dict[str, Any] = {"tries": 1, "begun_at": NOW - late}
    status = 0 if finished else None
    found = judge(S.CONTEXTUALIZING, since=late, finished=finished, exit_status=status, **begun)
    assert isinstance(found, TryAgain)
    assert why in found.why
    last = judge(S.CONTEXTUALIZING, since=late, finished=finished, exit_status=status, **{**begun, "tries": MAX_TRIES})
    assert isinstance(last, GiveUp)
    for hearing in (NOW - 10 * MINUTE, None):
        found = judge(S.CONTEXTUALIZING, since=HOUR, hearing=hearing, finished=True, exit_status=0, **begun)
        assert found is None, "nobody could call in"


states = st.sampled_from([S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING, S.RUNNING])
ages = st.integers(0, 7200).map(lambda seconds: NOW - timedelta(seconds=seconds))


@st.composite
def works(draw: st.DrawFn) -> tuple[Any, SshContext]:
    number = draw(st.integers(1, 10**6))
    status = draw(states)
    one = instance(number, status, status_since=draw(ages), context_method=SSH)
    begun = status is not S.WAIT_SSH_CONTEXT or draw(st.booleans())
    finished = begun and draw(st.booleans())
    context = SshContext(
        number,
        tries=draw(st.integers(1, MAX_TRIES)) if begun else 0,
        failures=draw(st.integers(0, 50)),
        visited_at=draw(ages | st.none()),
        begun_at=draw(ages) if begun else None,
        exit_status=draw(st.integers(0, 255)) if finished else None,
        finished=finished,
    )
    return one, context


@given(st.lists(works(), max_size=20, unique_by=lambda work: work[0].id), ages | st.none())
def test_whatever_there_is(work: list[tuple[Any, SshContext]], hearing: datetime | None) -> None:
    actions = decide(work, lambda _: Deadlines(), hearing, NOW)
    about = [action.context.instance_id if isinstance(action, Leave) else action.instance.id for action in actions]
    assert len(set(about)) == len(about), "one thing for each"
    by_id = {one.id: (one, context) for one, context in work}
    for action, id_ in zip(actions, about, strict=True):
        one, context = by_id[id_]
        if isinstance(action, TryAgain | GiveUp):
            assert one.status is S.CONTEXTUALIZING, "one that runs, or waits, is never given up here"
            assert isinstance(action, GiveUp) is (context.tries >= MAX_TRIES)
            assert hearing is not None or context.exit_status
        if isinstance(action, Visit):
            assert not context.finished or one.status is S.WAIT_SSH_CONTEXT
    visits = [action for action in actions if isinstance(action, Visit)]
    never = datetime.min.replace(tzinfo=NOW.tzinfo)
    order = [visit.context.visited_at or never for visit in visits]
    assert order == sorted(order), "nobody is always last"


@given(st.lists(works(), max_size=10, unique_by=lambda work: work[0].id))
def test_one_vm_changes_nothing_for_the_others(work: list[tuple[Any, SshContext]]) -> None:
    alone = [action for pair in work for action in decide([pair], lambda _: Deadlines(), LONG_AGO, NOW)]
    together = decide(work, lambda _: Deadlines(), LONG_AGO, NOW)
    assert sorted(map(repr, alone)) == sorted(map(repr, together))


def test_a_pods_own_deadline() -> None:
    one = instance(1, S.CONTEXTUALIZING, status_since=NOW - 20 * MINUTE, context_method=SSH)
    context = SshContext(1, tries=1, begun_at=NOW - 20 * MINUTE, finished=True, exit_status=0)
    longer = replace(Deadlines(), context=HOUR)
    assert decide([(one, context)], lambda _: longer, LONG_AGO, NOW) == []
