from datetime import timedelta

import pytest

from tests.policy.builders import NOW, SECOND
from vmdirac.policy.backoff import delete_is_due, needs_a_person


def test_the_first_delete_is_asked_for_at_once() -> None:
    assert delete_is_due(0, None, NOW)


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (500, 60)])
def test_each_failure_doubles_the_pause_up_to_an_hour(attempts: int, minutes: int) -> None:
    pause = timedelta(minutes=minutes)
    assert not delete_is_due(attempts, NOW - pause + SECOND, NOW)
    assert delete_is_due(attempts, NOW - pause, NOW)


def test_after_five_tries_a_person_has_to_look() -> None:
    assert not needs_a_person(4)
    assert needs_a_person(5)
