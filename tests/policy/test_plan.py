"""How many VMs are started where, and what is said of it."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from tests.policy.builders import (
    MINUTE,
    NOW,
    SECOND,
    candidate,
    codes,
    endpoint,
    instance,
    kept,
    launched,
    plan,
    planned,
    pod,
    queue,
    static,
    total,
)
from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus as S
from vmdirac.policy.plan import Invalid

POD = pod()


@pytest.mark.parametrize("processors", [1, 4])
def test_a_hundred_jobs_and_five_ticks_before_any_vm_boots_give_vms_for_a_hundred_jobs(processors: int) -> None:
    ways = [candidate(POD, endpoint(name), processors=processors) for name in ("A", "B")]
    rows: list[Instance] = []
    for _ in range(5):
        rows += launched(plan(ways, [queue(100)], rows), len(rows) + 1)
    assert len(rows) == 100 // processors


def test_the_same_in_steps_when_an_endpoint_starts_only_so_many_a_tick() -> None:
    ways = [candidate(POD, endpoint(max_launch_per_tick=30))]
    rows: list[Instance] = []
    sizes = []
    for _ in range(5):
        made = plan(ways, [queue(100)], rows)
        sizes.append(total(made))
        rows += launched(made, len(rows) + 1)
    assert sizes == [30, 30, 30, 10, 0]
    assert codes(plan(ways, [queue(100)])) == ["demand", "launches_per_tick"]


@pytest.mark.parametrize(
    ("state", "covered"),
    [
        (S.NEW, 1),
        (S.SUBMITTED, 1),
        (S.WAIT_SSH_CONTEXT, 1),
        (S.CONTEXTUALIZING, 1),
        (S.RUNNING, 1),
        (S.STOPPING, 0),
        (S.STALLED, 0),
        (S.ERROR, 0),
    ],
)
def test_free_and_booting_vms_are_given_jobs_first(state: S, covered: int) -> None:
    made = plan([candidate(POD, endpoint())], [queue(3)], [instance(1, state)])
    assert total(made) == 3 - covered


def test_a_busy_vm_covers_what_is_free_of_it() -> None:
    half_busy = instance(processors=4, busy_processors=3, jobs=1)
    made = plan([candidate(POD, endpoint(), processors=4)], [queue(9)], [half_busy])
    assert total(made) == 2


def test_what_is_free_of_its_memory_is_what_no_job_asked_for() -> None:
    half_busy = instance(processors=4, busy_processors=2, memory_mb=4000, busy_memory_mb=3000)
    ways = [candidate(POD, endpoint(), processors=4, memory_mb=4000)]
    assert total(plan(ways, [queue(1, memory_mb=1000)], [half_busy])) == 0
    assert total(plan(ways, [queue(1, memory_mb=1001)], [half_busy])) == 1


def test_a_vm_that_should_have_called_in_is_not_waited_for() -> None:
    ways = [candidate(POD, endpoint())]
    heard = instance(heard_at=NOW - 3 * MINUTE)
    assert total(plan(ways, [queue(1)], [heard])) == 0
    assert total(plan(ways, [queue(1)], [replace(heard, heard_at=NOW - 3 * MINUTE - SECOND)])) == 1
    assert total(plan(ways, [queue(1)], [instance(status=S.SUBMITTED)])) == 0, "it never called in yet"


@pytest.mark.parametrize("hearing_since", [None, NOW - 3 * MINUTE])
def test_no_vm_is_taken_for_dead_because_it_could_not_reach_us(hearing_since: datetime | None) -> None:
    ways, unheard = [candidate(POD, endpoint())], instance(heard_at=NOW - 60 * MINUTE)
    assert total(plan(ways, [queue(1)], [unheard], hearing_since=hearing_since)) == 0
    assert total(plan(ways, [queue(1)], [unheard], hearing_since=NOW - 3 * MINUTE - SECOND)) == 1


def test_a_vm_is_taken_for_what_it_was_started_for_whatever_its_pod_offers_today() -> None:
    old = instance(offer=Offer(1000, site="a"))
    today = candidate(POD, endpoint(), tags=("new",))
    assert total(plan([today], [queue(1)], [old])) == 0
    assert total(plan([today], [queue(1, tags=("new",))], [old])) == 1, "it can never do this job"
    elsewhere = candidate(POD, endpoint("B"))
    assert total(plan([elsewhere], [queue(1)], [old])) == 0, "it is there although its endpoint is configured no more"


def test_everything_covered_is_said() -> None:
    made = plan([candidate(POD, endpoint())], [queue(2)], [instance(1), instance(2)])
    assert total(made) == 0
    assert codes(made) == ["demand_covered"]


def test_vms_that_can_do_less_are_given_what_they_can_do() -> None:
    """Otherwise the VM at A would be given the job for anywhere, and the next tick would start another one at A."""
    ways = [candidate(POD, endpoint("A")), candidate(POD, endpoint("B"))]
    queues = [queue(1, key="anywhere", priority=9), queue(1, key="at a", sites=("a",))]
    rows = [instance(1, S.NEW, endpoint="A"), instance(2, S.NEW, endpoint="B")]
    assert total(plan(ways, queues, rows)) == 0


@pytest.mark.parametrize(
    ("jobs", "needs", "vms"),
    [
        (8, {}, 2),
        (9, {}, 3),
        (5, {"processors": 2}, 3),
        (3, {"processors": 3}, 3),
        (3, {"processors": 4}, 3),
        (3, {"processors": 5}, 0),
        (4, {"memory_mb": 2000}, 2),
        (4, {"memory_mb": 4000}, 4),
        (4, {"memory_mb": 4001}, 0),
    ],
)
def test_vms_and_jobs_of_several_processors(jobs: int, needs: dict[str, Any], vms: int) -> None:
    made = plan([candidate(POD, endpoint(), processors=4, memory_mb=4000)], [queue(jobs, **needs)])
    assert total(made) == vms
    if not vms:
        assert codes(made) == ["no_matching_jobs"]


def test_small_jobs_fill_what_large_ones_leave() -> None:
    ways = [candidate(POD, endpoint(), processors=4)]
    assert total(plan(ways, [queue(2, key="large", processors=3, priority=1), queue(2, key="small")])) == 2


def test_limits_count_every_row_that_may_have_a_vm() -> None:
    rows = [
        instance(1, S.STOPPING),
        instance(2, S.STALLED),
        instance(3, S.ERROR),
        instance(4, S.ERROR, vm_gone=True),
        instance(5, S.NEW),
    ]
    made = plan([candidate(pod(max_instances=6), endpoint())], [queue(50)], rows)
    assert total(made) == 2
    assert codes(made) == ["demand", "pod_limit"]
    made = plan([candidate(POD, endpoint(max_instances=6))], [queue(50)], rows)
    assert total(made) == 2
    assert codes(made) == ["demand", "endpoint_limit"]


def test_an_endpoints_limits_are_shared_by_its_pods() -> None:
    shared = endpoint(max_instances=10, max_launch_per_tick=7)
    pods = [pod("one", priority=1), pod("two")]
    made = plan([candidate(one, shared) for one in pods], [queue(5, key="1"), queue(50, key="2")])
    assert total(made) == 7
    made = plan([candidate(one, shared) for one in pods], [queue(50)], [instance(n, pod="two") for n in range(8)])
    assert total(made) == 2


def test_pods_are_served_by_priority_then_by_waiting_work() -> None:
    tight = endpoint(max_instances=1)
    for_one = queue(1, key="1", cpu_time=100, tags=("one",))
    for_two = queue(2, key="2", cpu_time=100, tags=("two",))
    one, two = pod("one"), pod("two")
    ways = [candidate(one, tight, tags=("one",)), candidate(two, tight, tags=("two",))]
    assert planned(plan(ways, [for_one, for_two])) == {("two", "A"): 1}
    first = candidate(replace(one, priority=0.5), tight, tags=("one",))
    assert planned(plan([first, ways[1]], [for_one, for_two])) == {("one", "A"): 1}


def test_jobs_that_two_pods_can_do_get_one_vm() -> None:
    ways = [candidate(pod("one"), endpoint("A")), candidate(pod("two"), endpoint("B"))]
    made = plan(ways, [queue(10)])
    assert total(made) == 10
    assert codes(made, "one", "A") == codes(made, "two", "B") == ["demand"]
    first = replace(ways[0], pod=replace(ways[0].pod, priority=1))
    made = plan([first, ways[1]], [queue(10)])
    assert planned(made) == {("one", "A"): 10}
    assert codes(made, "two", "B") == ["demand_covered"]


def test_static_is_filled_only_while_a_matching_job_waits() -> None:
    ways = [candidate(POD, static(max_instances=4))]
    assert codes(plan(ways)) == ["no_matching_jobs"]
    made = plan(ways, [queue(1)])
    assert total(made) == 4
    assert codes(made) == ["static_fill", "endpoint_limit"]
    # The job that waits may have a VM already: the endpoint is filled all the same.
    assert total(plan(ways, [queue(1)], [instance(1, S.NEW)])) == 3


def test_what_never_stops_is_kept_filled_without_jobs() -> None:
    made = plan([candidate(POD, kept(max_instances=4))])
    assert total(made) == 4
    assert codes(made) == ["kept_filled", "endpoint_limit"]


def test_static_vms_take_jobs_before_elastic_ones_are_thought_of() -> None:
    ways = [candidate(POD, endpoint("A")), candidate(POD, static("B", max_instances=3), processors=2)]
    assert planned(plan(ways, [queue(8)])) == {("pod", "A"): 2, ("pod", "B"): 3}


@pytest.mark.parametrize("on", [endpoint(), static(), kept()], ids=["elastic", "static", "kept"])
@pytest.mark.parametrize(
    "dates", [{"campaign_start": date(2026, 3, 2)}, {"campaign_end": date(2026, 2, 28)}], ids=["before", "after"]
)
def test_an_unactive_pod_starts_nothing(on: object, dates: dict[str, date]) -> None:
    made = plan([candidate(pod(**dates), on)], [queue(5)])  # type: ignore[arg-type]
    assert total(made) == 0
    assert codes(made) == ["unactive"]
    assert "ever" in str(made.decisions[0].reasons[0])


def test_what_cannot_be_planned_gets_a_decision_that_says_why() -> None:
    made = plan([], [queue(5)], invalid=[Invalid("bad", "", "no image"), Invalid("pod", "B", "no flavor")])
    assert [(item.pod, item.endpoint, str(item.reasons[0])) for item in made.decisions] == [
        ("bad", "", "no image"),
        ("pod", "B", "no flavor"),
    ]


def test_a_decision_shows_what_was_seen() -> None:
    rows = [instance(1, S.NEW), instance(2, S.SUBMITTED), instance(3, busy_processors=1), instance(4, S.STOPPING)]
    ways = [candidate(POD, endpoint("A", max_launch_per_tick=5)), candidate(POD, endpoint("B", max_instances=0))]
    made = plan(ways, [queue(20, cpu_time=60), queue(7, key="elsewhere", sites=("c",))], rows)
    seen = {item.endpoint: item for item in made.decisions}["A"]
    assert (seen.jobs, seen.waiting_cpu, seen.active, seen.in_flight) == (20, 1200, 3, 2)
    assert (seen.warranted, seen.planned) == (18, 5)
    assert str(seen.reasons[0]) == "18 waiting jobs can fill 18 more VMs"


def test_warranted_counts_the_jobs_of_all_places_once() -> None:
    ways = [candidate(pod(max_instances=1), endpoint(name)) for name in "AB"]
    queues = [queue(10, key="a", sites=("a",)), queue(10, key="b", sites=("b",)), queue(10, key="any")]
    assert {item.warranted for item in plan(ways, queues).decisions} == {30}
