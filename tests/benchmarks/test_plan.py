"""The world that the plan is measured on is the one that the target speaks of."""

from benchmarks.plan import ENDPOINTS, JOBS_A_VM, PODS, QUEUES, TARGET_SIZE, world


def test_it_has_the_sizes_of_the_target() -> None:
    candidates, demand = world(TARGET_SIZE)
    assert len({item.pod.name for item in candidates}) == PODS == 50
    assert len({item.endpoint.name for item in candidates}) == ENDPOINTS == 20
    assert len(demand.task_queues) == QUEUES == 200
    assert demand.jobs == 20_000
    assert demand.jobs // JOBS_A_VM == 4_000


def test_no_job_is_lost_in_dividing_them() -> None:
    assert world(99)[1].jobs == 99
