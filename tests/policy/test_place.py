"""Which of a pod's endpoints gets the next VM, and what is recorded of each."""

import random

import pytest

from tests.policy.builders import candidate, endpoint, pod, queue
from vmdirac.model.decision import Reason, ReasonCode
from vmdirac.policy.place import OpenPlaces, Place, PodPlan, draw_lots, waiting_cpu


def place(name: str, weight: float = 1.0, score: float = 1.0, active: int = 0, planned: int = 0) -> Place:
    return Place(candidate(pod(), endpoint(name), weight=weight), [], score, None, (), active, 0, planned=planned)


def order_of(*places: Place) -> list[Place]:
    entry = PodPlan(pod(), 0, list(places))
    return [item for _, item in OpenPlaces((entry, item) for item in places)]


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
    assert order_of(one, other) == order_of(other, one) == [one, other]


def test_without_room_anywhere_there_still_is_a_choice() -> None:
    first = set()
    for seed in range(20):
        both = [place("A", score=0), place("B", score=0)]
        draw_lots(both, random.Random(seed))
        first.add(order_of(*both)[0].endpoint.name)
    assert first == {"A", "B"}


def test_lots_do_not_depend_on_the_order_in_which_places_come() -> None:
    drawn = []
    for names in ("ABC", "CAB"):
        places = [place(name) for name in names]
        draw_lots(places, random.Random(7))
        drawn.append({item.endpoint.name: item.lot for item in places})
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0].values())) == 3


def test_between_equals_the_pod_with_more_work_comes_first() -> None:
    little, much = place("A"), place("A")
    little.lot, much.lot = 0.1, 0.9
    entries = [(PodPlan(pod("one"), 0, [little], waiting_cpu=10), little)]
    entries.append((PodPlan(pod("two"), 0, [much], waiting_cpu=11), much))
    assert [item for _, item in OpenPlaces(entries)] == [much, little]


def test_a_place_that_is_put_back_waits_for_its_turn() -> None:
    large, small = place("A", weight=2), place("B")
    entry = PodPlan(pod(), 0, [large, small])
    waiting = OpenPlaces([(entry, large), (entry, small)])
    got = ""
    for _, chosen in waiting:
        got += chosen.endpoint.name
        chosen.planned += 1
        chosen.lot = 0.0 if chosen is large else 1.0
        if len(got) < 9:
            waiting.put_back(entry, chosen)
    assert got[:9].count("A") == 6
    assert got[:9].count("B") == 3


def test_each_task_queue_waits_once() -> None:
    shared, own = queue(3, key="1", cpu_time=10), queue(2, key="2", cpu_time=100)
    ways = candidate(pod(), endpoint())
    first, second = Place(ways, [shared], 1, None, (), 0, 0), Place(ways, [shared, own], 1, None, (), 0, 0)
    assert waiting_cpu([first, second]) == 230
    assert waiting_cpu([]) == 0


def test_what_is_recorded() -> None:
    reason = Reason.of(ReasonCode.NO_MATCHING_JOBS)
    decision = Place(
        candidate(pod("p"), endpoint("B")),
        [queue(3, cpu_time=10)],
        1,
        None,
        (),
        active=4,
        in_flight=1,
        planned=2,
        reasons=[reason],
    ).decision(warranted=9)
    assert (decision.pod, decision.endpoint, decision.jobs, decision.waiting_cpu) == ("p", "B", 3, 30)
    assert (decision.active, decision.in_flight, decision.warranted, decision.planned) == (4, 1, 9, 2)
    assert decision.reasons == (reason,)
