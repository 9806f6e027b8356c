"""Whether a VM is to go by itself: decided from what was seen, at a time that is an argument."""

import pytest

from vmdirac.agent.departure import RESULTS_PATIENCE, Departure, Signs, Work, abandoned, may_end, wish_to_leave

MESSAGE = Departure(300, "No more work available")


def test_nothing_speaks_for_it() -> None:
    assert wish_to_leave(Signs(), 1e9) is None
    assert wish_to_leave(Signs(lives_until=100.0), 99.9) is None


@pytest.mark.parametrize(
    ("signs", "code"),
    [
        (Signs(stop_file=True), 400),
        (Signs(shutdown_message=MESSAGE), 300),
        (Signs(lives_until=100.0), 200),
        (Signs(stop_file=True, shutdown_message=MESSAGE, lives_until=0.0), 400),
        (Signs(shutdown_message=MESSAGE, lives_until=0.0), 300),
    ],
)
def test_each_sign_has_its_code(signs: Signs, code: int) -> None:
    wish = wish_to_leave(signs, 100.0)
    assert wish is not None
    assert wish.code == code
    assert wish.reason


def test_it_ends_when_it_has_nothing_left_and_nobody_can_give_it_more() -> None:
    assert may_end(MESSAGE, Work(), settled=True)
    assert not may_end(None, Work(), settled=True)
    assert not may_end(MESSAGE, Work(), settled=False)
    assert not may_end(MESSAGE, Work(jobs=1), settled=True)
    assert not may_end(MESSAGE, Work(results=1), settled=True)


@pytest.mark.parametrize(
    ("alone", "work", "ends"),
    [
        (99.9, Work(), False),
        (100.0, Work(), True),
        (1e9, Work(jobs=1), False),
        (100.0, Work(results=1), False),
        (RESULTS_PATIENCE - 1, Work(results=1), False),
        (RESULTS_PATIENCE, Work(results=1), True),
        (1e9, Work(jobs=1, results=1), False),
    ],
)
def test_who_is_alone_for_too_long_ends_unless_it_works(alone: float, work: Work, ends: bool) -> None:
    why = abandoned(5000.0 + alone, 5000.0, 100.0, work)
    assert (why is not None) == ends
    assert why is None or why.code == 600


def test_a_long_deadline_holds_for_results_too() -> None:
    assert abandoned(RESULTS_PATIENCE + 1, 0.0, 2 * RESULTS_PATIENCE, Work(results=1)) is None
