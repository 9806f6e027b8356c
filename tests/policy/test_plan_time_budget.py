"""A plan whose time is over is what has been planned by then, and says so."""

from collections.abc import Callable

import pytest

from tests.policy.builders import candidate, codes, endpoint, plan, planned, pod, queue, static, total
from vmdirac.model.decision import ReasonCode
from vmdirac.model.pod import Endpoint


def after(calls: int) -> Callable[[], bool]:
    """Time that is over when it has been asked for so often."""
    asked = iter(range(10**6))
    return lambda: next(asked) >= calls


@pytest.mark.parametrize("on", [endpoint(), static(max_instances=100)], ids=["elastic", "static"])
@pytest.mark.parametrize("by_then", [1, 2, 7])
def test_what_was_planned_by_then_is_the_plan(on: Endpoint, by_then: int) -> None:
    made = plan([candidate(pod(), on)], [queue(100)], out_of_time=after(by_then - 1))
    assert total(made) == by_then
    assert codes(made)[-1] == "time_budget"
    assert made.decisions[0].clipped_by is ReasonCode.TIME_BUDGET
    assert str(made.decisions[0].reasons[-1]) == "the time for one plan was over: the next tick goes on"


def test_there_is_a_plan_however_little_time_there_is() -> None:
    made = plan([candidate(pod(), endpoint())], [queue(100)], out_of_time=lambda: True)
    assert total(made) == 1


def test_those_of_higher_priority_have_had_their_turn() -> None:
    ways = [candidate(pod("low"), endpoint()), candidate(pod("high", priority=1), endpoint())]
    queues = [queue(5, key="1"), queue(5, key="2")]
    made = plan(ways, queues, out_of_time=after(3))
    assert planned(made) == {("high", "A"): 4}
    assert codes(made, "low") == ["demand", "time_budget"]


def test_with_nothing_to_do_no_time_is_missed() -> None:
    made = plan([candidate(pod(), endpoint())], out_of_time=lambda: True)
    assert codes(made) == ["no_matching_jobs"]
    assert made.decisions[0].clipped_by is None


def test_with_time_enough_it_is_the_whole_plan() -> None:
    ways = [candidate(pod(name), endpoint(name)) for name in "AB"]
    assert plan(ways, [queue(9)], out_of_time=after(1000)) == plan(ways, [queue(9)])
