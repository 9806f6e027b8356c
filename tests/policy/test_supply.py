"""How far VMs that exist cover the waiting jobs."""

from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import queue
from vmdirac.model.requirements import Offer
from vmdirac.policy.supply import Backlog

ONE = Offer(cpu_time=1000, site="a")
FOUR = Offer(cpu_time=1000, processors=4, memory_mb=4000, site="a")
ELSEWHERE = Offer(cpu_time=1000, site="b")


def test_a_vm_takes_the_jobs_that_fit() -> None:
    backlog = Backlog([queue(10, processors=2)], [FOUR])
    assert backlog.fill(FOUR, 4, 4000) == 2
    assert backlog.left(FOUR) == 8


def test_memory_limits_the_jobs_side_by_side() -> None:
    backlog = Backlog([queue(10, memory_mb=1500)], [FOUR])
    assert backlog.fill(FOUR, 4, 4000) == 2
    assert backlog.fill(FOUR, 4, None) == 4


def test_jobs_share_the_memory() -> None:
    backlog = Backlog([queue(2, key="big", memory_mb=1500, priority=1), queue(9, key="small", memory_mb=400)], [FOUR])
    assert backlog.fill(FOUR, 4, 4000) == 4
    assert backlog.fill(FOUR, 4, 1000) == 2
    assert backlog.left(FOUR) == 5


def test_what_is_left_of_a_vm_takes_smaller_jobs() -> None:
    backlog = Backlog([queue(5, key="big", processors=3, priority=1), queue(5, key="small")], [FOUR])
    assert backlog.fill(FOUR, 4, 4000) == 2
    assert backlog.left(FOUR) == 8
    assert backlog.left(ONE) == 4


def test_jobs_that_do_not_match_are_not_its_business() -> None:
    backlog = Backlog([queue(5, sites=("b",))], [ONE, ELSEWHERE])
    assert backlog.left(ONE) == 0
    assert backlog.fill(ONE, 1, None) == 0
    assert backlog.left(ELSEWHERE) == 5


def test_jobs_that_few_can_do_are_given_first() -> None:
    generic, special = queue(1, key="generic", priority=9), queue(1, key="special", sites=("a",))
    backlog = Backlog([generic, special], [ONE, ELSEWHERE])
    assert backlog.matching(ONE) == [special, generic]
    assert backlog.fill(ONE, 1, None) == 1
    assert backlog.left(ELSEWHERE) == 1


def test_then_urgent_ones() -> None:
    low, high = queue(1, key="1-low"), queue(1, key="2-high", priority=5)
    assert Backlog([low, high], [ONE]).matching(ONE) == [high, low]
    assert Backlog([high, low], [ONE]).matching(ONE) == [high, low]


def test_matching_shows_the_queues_as_they_were() -> None:
    backlog = Backlog([queue(3)], [ONE])
    backlog.fill(ONE, 1, None)
    assert [item.jobs for item in backlog.matching(ONE)] == [3]


def test_vms_to_fill() -> None:
    assert Backlog([], [FOUR]).vms_to_fill([FOUR]) == 0
    assert Backlog([queue(8)], [FOUR]).vms_to_fill([FOUR]) == 2
    assert Backlog([queue(9)], [FOUR]).vms_to_fill([FOUR]) == 3
    assert Backlog([queue(9)], [FOUR]).vms_to_fill([]) == 0
    assert Backlog([queue(3, processors=3)], [FOUR]).vms_to_fill([FOUR]) == 3
    assert Backlog([queue(4, memory_mb=2000)], [FOUR]).vms_to_fill([FOUR]) == 2
    # Each job is counted once, as part of the VM that takes most of its kind.
    both = [queue(4, key="here", sites=("a",)), queue(2, key="there", sites=("b",)), queue(4, key="any")]
    assert Backlog(both, [FOUR, ELSEWHERE]).vms_to_fill([FOUR, ELSEWHERE]) == 4


@PROPERTY
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), max_size=5), st.integers(1, 9))
def test_empty_vms_one_after_the_other_leave_nothing(sizes: list[tuple[int, int]], processors: int) -> None:
    offer = Offer(cpu_time=1000, processors=processors)
    backlog = Backlog([queue(n, key=str(i), processors=p) for i, (n, p) in enumerate(sizes)], [offer])
    waiting = backlog.left(offer)
    taken = 0
    while given_now := backlog.fill(offer, processors, None):
        taken += given_now
    assert backlog.left(offer) == 0
    assert taken == waiting
