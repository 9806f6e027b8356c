"""Jobs that take long, VMs that end, and jobs that want a whole VM."""

from dataclasses import replace

import pytest

from tests.policy.builders import (
    HOUR,
    MINUTE,
    NOW,
    candidate,
    codes,
    endpoint,
    instance,
    launched,
    plan,
    pod,
    queue,
    total,
)
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus as S

POD = pod()
AN_HOUR = candidate(pod(), endpoint(), max_lifetime=3600, cpu_time=10**6)


@pytest.mark.parametrize(("cpu_time", "vms"), [(3600, 5), (3601, 0)])
def test_jobs_longer_than_the_life_of_a_vm_are_no_demand_for_it(cpu_time: int, vms: int) -> None:
    made = plan([AN_HOUR], [queue(5, cpu_time=cpu_time)])
    assert total(made) == vms
    assert made.decisions[0].jobs == vms
    assert made.decisions[0].waiting_cpu == vms * 3600
    assert codes(made) == (["demand"] if vms else ["no_matching_jobs"])


@pytest.mark.parametrize("cpu_time", [1, 2699, 2700, 2701, 3600])
def test_jobs_that_take_nearly_all_of_a_life_do_not_start_a_vm_each_tick(cpu_time: int) -> None:
    """A VM that boots has some of its life behind it, and still is the VM of the job for which it was started."""
    way = replace(AN_HOUR, offer=replace(AN_HOUR.offer, boot_time=900))
    rows: list[Instance] = []
    for minute in range(16):
        now = NOW + minute * MINUTE
        rows += launched(plan([way], [queue(5, cpu_time=cpu_time)], rows, now=now), len(rows) + 1, created_at=now)
    assert len(rows) == (5 if cpu_time <= 2700 else 0)


def test_they_are_demand_for_a_pod_whose_vms_live_longer() -> None:
    longer = candidate(pod("long"), endpoint("B"), max_lifetime=7200, cpu_time=10**6)
    made = plan([AN_HOUR, longer], [queue(5, cpu_time=3601)])
    assert [launch.candidate.pod.name for launch in made.launches] == ["long"]


@pytest.mark.parametrize(
    ("age", "cpu_time", "covers"),
    [
        (50 * MINUTE, 600, True),
        (50 * MINUTE, 601, False),
        (59 * MINUTE, 60, True),
        (HOUR, 1, False),
        (2 * HOUR, 1, False),
    ],
)
@pytest.mark.parametrize("state", [S.RUNNING, S.SUBMITTED])
def test_a_vm_near_its_end_is_no_supply_for_what_takes_longer(
    age: object, cpu_time: int, state: S, *, covers: bool
) -> None:
    old = instance(1, state, created_at=NOW - age, last_launch_at=NOW - age)  # type: ignore[operator]
    assert total(plan([AN_HOUR], [queue(1, cpu_time=cpu_time)], [old])) == (0 if covers else 1)


def test_it_is_supply_for_what_is_shorter() -> None:
    old = instance(1, last_launch_at=NOW - 50 * MINUTE, processors=2)
    queues = [queue(1, key="long", cpu_time=3000, priority=9), queue(1, key="short", cpu_time=600)]
    made = plan([AN_HOUR], queues, [old])
    assert total(made) == 1
    assert str(made.decisions[0].reasons[0]) == "1 waiting jobs can fill 1 more VMs"


def test_what_was_launched_with_an_end_keeps_it() -> None:
    """The pod's VMs have no end any more; this one was launched with one."""
    old = instance(1, last_launch_at=NOW - 50 * MINUTE, offer=AN_HOUR.offer)
    endless = replace(AN_HOUR, offer=replace(AN_HOUR.offer, max_lifetime=0))
    assert total(plan([endless], [queue(1, cpu_time=601)], [old])) == 1
    endless_one = replace(old, offer=endless.offer)
    assert total(plan([AN_HOUR], [queue(1, cpu_time=3600)], [endless_one])) == 0


@pytest.mark.parametrize(("jobs", "vms"), [(1, 1), (3, 3)])
def test_a_job_that_wants_a_whole_vm_has_one(jobs: int, vms: int) -> None:
    ways = [candidate(POD, endpoint(), processors=8)]
    assert total(plan(ways, [queue(jobs, whole_node=True)])) == vms
    assert total(plan(ways, [queue(jobs, whole_node=True), queue(8, key="small")])) == vms + 1


def test_a_vm_that_is_partly_busy_is_no_whole_one() -> None:
    ways = [candidate(POD, endpoint(), processors=8)]
    for busy, started in ((0, 0), (1, 1)):
        row = instance(1, processors=8, busy_processors=busy, jobs=busy)
        assert total(plan(ways, [queue(1, whole_node=True)], [row])) == started


def test_where_no_whole_vm_is_offered_they_are_no_demand() -> None:
    made = plan([candidate(POD, endpoint(), processors=8, whole_node=False)], [queue(3, whole_node=True)])
    assert codes(made) == ["no_matching_jobs"]


def test_a_whole_vm_ends_a_long_job_sooner() -> None:
    ways = [replace(AN_HOUR, offer=replace(AN_HOUR.offer, processors=4))]
    assert total(plan(ways, [queue(1, cpu_time=4 * 3600, whole_node=True)])) == 1
    assert total(plan(ways, [queue(1, cpu_time=4 * 3600)])) == 0
