"""The load's average."""

import pytest

from vmdirac.agent.load import LoadAverage


def test_values_within_the_timespan_count() -> None:
    load = LoadAverage(60.0)
    assert [load.note(now, value) for now, value in ((0, 8.0), (60, 4.0), (120, 0.0))] == [8.0, 6.0, 2.0]


def test_a_timespan_may_change() -> None:
    load = LoadAverage()
    assert load.note(0.0, 9.0) == 9.0
    load.timespan = 1000.0
    assert load.note(10.0, 1.0) == 5.0


@pytest.mark.parametrize("timespan", [0.0, 9.9])
def test_without_a_timespan_only_the_last_counts(timespan: float) -> None:
    load = LoadAverage(timespan)
    load.note(0.0, 9.0)
    assert load.note(10.0, 1.0) == 1.0
