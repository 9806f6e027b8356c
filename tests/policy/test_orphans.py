"""A VM that nobody knows is looked at twice, and spared while anything speaks for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import HOUR, MINUTE, NOW, SECOND
from vmdirac.model.cloud import CloudInstance, CloudState
from vmdirac.model.orphan import Orphan
from vmdirac.policy.orphans import SEEN_AGAIN_AFTER, Verdict, judge


def stranger(number: int = 1, *, kept: bool = False) -> CloudInstance:
    return CloudInstance(f"vm-{number}", f"token-{number}", f"name-{number}", CloudState.RUNNING, kept=kept)


def known(number: int = 1, first_seen: datetime = NOW - HOUR) -> Orphan:
    return Orphan("A", f"vm-{number}", f"token-{number}", first_seen, first_seen)


def verdict(strangers: Sequence[CloudInstance], orphans: Sequence[Orphan] = (), listed: int = 10) -> Verdict:
    return judge(strangers, {orphan.cloud_id: orphan for orphan in orphans}, listed, NOW, NOW + SECOND)


def test_nothing_is_deleted_at_first_sight() -> None:
    assert verdict([stranger()]) == Verdict((stranger(),), (), 0, alarm=False)


def test_one_that_is_still_there_later_is_deleted() -> None:
    assert verdict([stranger()], [known()]).delete == (known(),)
    soon = known(first_seen=NOW - SEEN_AGAIN_AFTER + SECOND)
    assert verdict([stranger()], [soon]).delete == ()


def test_one_that_is_gone_is_nobodys_business() -> None:
    assert verdict([], [known()]) == Verdict((), (), 0, alarm=False)


def test_one_that_calls_in_is_spared() -> None:
    calling = replace(known(), called_at=NOW - 59 * MINUTE)
    assert verdict([stranger()], [calling]).delete == ()
    assert verdict([stranger()], [replace(calling, called_at=NOW - 61 * MINUTE)]).delete


def test_one_that_somebody_keeps_is_spared_and_counted() -> None:
    made = verdict([stranger(kept=True)], [known()])
    assert (made.mark, made.delete, made.kept) == ((), (), 1)


def test_a_delete_that_failed_is_tried_again_later() -> None:
    failed = replace(known(), delete_attempts=1, delete_failed_at=NOW)
    assert verdict([stranger()], [failed]).delete == ()
    assert verdict([stranger()], [replace(failed, delete_failed_at=NOW - MINUTE)]).delete


@pytest.mark.parametrize(("orphans", "listed", "alarm"), [(3, 3, False), (4, 80, False), (4, 79, True), (4, 4, True)])
def test_too_many_at_once_are_an_alarm_and_nothing_is_deleted(orphans: int, listed: int, *, alarm: bool) -> None:
    numbers = range(orphans)
    made = verdict([stranger(n) for n in numbers], [known(n) for n in numbers], listed)
    assert made.alarm is alarm
    assert len(made.delete) == (0 if alarm else orphans)


@PROPERTY
@given(
    ages=st.lists(st.integers(0, 600), max_size=8),
    listed=st.integers(0, 300),
    kept=st.sets(st.integers(0, 7)),
)
def test_only_old_strangers_that_nobody_keeps_are_ever_deleted(ages: list[int], listed: int, kept: set[int]) -> None:
    strangers = [stranger(n, kept=n in kept) for n in range(len(ages))]
    orphans = [known(n, NOW - timedelta(seconds=age)) for n, age in enumerate(ages)]
    made = verdict(strangers, orphans, listed)
    for orphan in made.delete:
        number = int(orphan.cloud_id.removeprefix("vm-"))
        assert number not in kept
        assert ages[number] >= SEEN_AGAIN_AFTER.total_seconds()
    assert not made.alarm or not made.delete
