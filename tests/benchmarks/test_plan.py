"""The worlds that the plan is measured on are those that the target speaks of."""

from dataclasses import fields

from benchmarks.plan import JOBS_A_VM, LARGER, TARGET, Size, world


def test_the_target_has_its_sizes() -> None:
    assert Size(20_000, 200, 50, 20) == TARGET
    assert TARGET.jobs // JOBS_A_VM == 4_000


def test_a_world_has_the_sizes_that_it_is_said_to_have() -> None:
    for size in (TARGET, *LARGER.values(), Size(99, 7, 3, 4)):
        candidates, demand = world(size)
        assert len({item.pod.name for item in candidates}) == size.pods
        assert len({item.endpoint.name for item in candidates}) == size.endpoints
        assert len(demand.task_queues) == size.task_queues
        assert demand.jobs == size.jobs


def test_each_larger_one_has_twice_as_much_of_one_thing() -> None:
    for size in LARGER.values():
        ratios = [getattr(size, field.name) / getattr(TARGET, field.name) for field in fields(Size)]
        assert sorted(ratios) == [1, 1, 1, 2]
