"""Which of a pod's endpoints gets the next VM, and what is recorded of each."""

import random

import pytest

from tests.policy.builders import candidate, endpoint, pod, queue
from vmdirac.model.decision import Reason, ReasonCode
from vmdirac.policy.place import Place, best, waiting_cpu

RNG = random.Random(0)


def place(name: str, weight: float = 1.0, score: float = 1.0, active: int = 0, planned: int = 0) -> Place:
    return Place(candidate(pod(), endpoint(name), weight=weight), [], score, None, active, 0, planned)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (place("A", weight=2), place("B")),
        (place("A"), place("B", score=0.9)),
        (place("A", score=0.01), place("B", weight=1000, score=0)),
        (place("A"), place("B", active=1)),
        (place("A"), place("B", planned=1)),
        (place("A", weight=3, active=1), place("B", weight=1)),
        # What is active counts as what is planned.
        (place("A", weight=2, active=1, planned=1), place("B", active=1, planned=1)),
    ],
)
def test_the_one_furthest_behind_its_share_is_next(one: Place, other: Place) -> None:
    assert best([one, other], RNG) is one
    assert best([other, one], RNG) is one


def test_without_room_anywhere_there_still_is_a_choice() -> None:
    both = [place("A", score=0), place("B", score=0)]
    assert {best(both, random.Random(seed)).endpoint.name for seed in range(20)} == {"A", "B"}


def test_each_task_queue_waits_once() -> None:
    shared, own = queue(3, key="1", cpu_time=10), queue(2, key="2", cpu_time=100)
    ways = candidate(pod(), endpoint())
    first, second = Place(ways, [shared], 1, None, 0, 0), Place(ways, [shared, own], 1, None, 0, 0)
    assert waiting_cpu([first, second]) == 230
    assert waiting_cpu([]) == 0


def test_what_is_recorded() -> None:
    reason = Reason.of(ReasonCode.NO_MATCHING_JOBS)
    decision = Place(
        candidate(pod("p"), endpoint("B")),
        [queue(3, cpu_time=10)],
        1,
        None,
        active=4,
        in_flight=1,
        planned=2,
        reasons=[reason],
    ).decision(warranted=9)
    assert (decision.pod, decision.endpoint, decision.jobs, decision.waiting_cpu) == ("p", "B", 3, 30)
    assert (decision.active, decision.in_flight, decision.warranted, decision.planned) == (4, 1, 9, 2)
    assert decision.reasons == (reason,)
