"""Who runs which job: nobody else, not for longer than it is heard of, and never more than the VM has room for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.store.job_queue import Queue, ids
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import JobStatus
from vmdirac.store import instances, lease_usage, leases

SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=3 * 60)


def leases_in_use(jobs: Queue, vm: int) -> int:
    """Processors of the VM that are leased."""
    with jobs.store.read() as session:
        return lease_usage.in_use(session, vm)[vm].processors


class TestMatch:
    def test_hands_a_job_out_under_a_lease(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        lease = jobs.match_one(vm)
        job = jobs.job(id_)
        assert (job.status, job.instance_id, job.attempts) == (JobStatus.RUNNING, vm, 1)
        assert (job.lease, job.started_at, job.lease_until) == (lease, START, START + LEASE)
        (attempt,) = jobs.attempts(id_)
        assert (attempt.number, attempt.instance_id, attempt.lease) == (1, vm, lease)
        assert (attempt.started_at, attempt.ended_at, attempt.outcome) == (START, None, None)

    def test_a_lease_is_three_heartbeat_periods(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(heartbeat_period=5.0), jobs.submit()
        jobs.match_one(vm)
        assert jobs.job(id_).lease_until == START + 15 * SECOND

    def test_a_job_that_is_not_waiting_is_not_handed_out(self, jobs: Queue) -> None:
        jobs.submit()
        assert len(jobs.match(jobs.vm())) == 1
        assert jobs.match(jobs.vm()) == []

    def test_a_job_is_only_handed_to_a_vm_that_offers_what_it_needs(self, jobs: Queue) -> None:
        jobs.submit(Requirements(cpu_time=10, tags=("gpu",)))
        assert jobs.match(jobs.vm()) == []
        assert len(jobs.match(jobs.vm(offer=Offer(cpu_time=10, tags=("gpu",))))) == 1

    def test_urgent_jobs_come_first_then_the_oldest(self, jobs: Queue) -> None:
        old, urgent, new = jobs.submit(), jobs.submit(priority=5), jobs.submit()
        other_queue = jobs.submit(Requirements(cpu_time=2000), priority=5)
        assert ids(jobs.match(jobs.vm(processors=8))) == [urgent, other_queue, old, new]

    def test_urgency_is_each_jobs_own_not_its_task_queues(self, jobs: Queue) -> None:
        urgent, idle = jobs.submit(priority=5), jobs.submit(priority=0)
        between = jobs.submit(Requirements(cpu_time=2000), priority=3)
        assert ids(jobs.match(jobs.vm(processors=2))) == [urgent, between]
        assert ids(jobs.match(jobs.vm())) == [idle]

    def test_no_more_than_asked_for(self, jobs: Queue) -> None:
        first, second, _ = jobs.submit(), jobs.submit(), jobs.submit()
        assert ids(jobs.match(jobs.vm(processors=8), count=2)) == [first, second]

    def test_no_more_than_the_vm_says_is_free(self, jobs: Queue) -> None:
        for _ in range(4):
            jobs.submit()
        assert len(jobs.match(jobs.vm(processors=8), processors=3)) == 3

    def test_no_more_than_the_vm_has_whatever_it_says(self, jobs: Queue) -> None:
        vm = jobs.vm(processors=4)
        for _ in range(8):
            jobs.submit()
        assert len(jobs.match(vm, processors=64, count=3)) == 3
        assert len(jobs.match(vm, processors=64)) == 1
        assert jobs.match(vm, processors=64) == []

    def test_a_large_job_waits_and_smaller_ones_fill_what_is_free(self, jobs: Queue) -> None:
        vm = jobs.vm(processors=4)
        three = jobs.submit(Requirements(cpu_time=10, processors=3), priority=9)
        another_three = jobs.submit(Requirements(cpu_time=10, processors=3), priority=8)
        one = jobs.submit(Requirements(cpu_time=10))
        assert ids(jobs.match(vm)) == [three, one]
        assert jobs.job(another_three).status is JobStatus.WAITING

    def test_memory_is_shared_out_like_processors(self, jobs: Queue) -> None:
        vm = jobs.vm(processors=8, memory_mb=4000)
        for _ in range(4):
            jobs.submit(Requirements(cpu_time=10, memory_mb=1500))
        assert len(jobs.match(vm, memory_mb=64_000)) == 2
        small = jobs.submit(Requirements(cpu_time=10, memory_mb=1000))
        assert ids(jobs.match(vm, memory_mb=64_000)) == [small]

    def test_a_vm_with_less_memory_free_than_it_should_have_gets_less(self, jobs: Queue) -> None:
        for _ in range(4):
            jobs.submit(Requirements(cpu_time=10, memory_mb=1000))
        assert len(jobs.match(jobs.vm(processors=8, memory_mb=4000), memory_mb=1999)) == 1
        assert len(jobs.match(jobs.vm(processors=8, memory_mb=0), memory_mb=1999)) == 1

    def test_memory_that_nobody_knows_limits_nothing(self, jobs: Queue) -> None:
        for _ in range(4):
            jobs.submit(Requirements(cpu_time=10, memory_mb=1_000_000))
        assert len(jobs.match(jobs.vm(processors=4, memory_mb=0), memory_mb=0)) == 4

    def test_a_whole_node_job_takes_the_whole_vm_and_only_an_empty_one(self, jobs: Queue) -> None:
        vm = jobs.vm(processors=4)
        small = jobs.submit()
        whole = jobs.submit(Requirements(cpu_time=1000, whole_node=True))
        more = jobs.submit()
        assert ids(jobs.match(vm, count=1)) == [small]
        assert ids(jobs.match(vm, processors=3)) == [more], "there is no whole VM any more"
        other = jobs.vm(processors=4)
        assert jobs.match(other, processors=3) == [], "it says that one of its processors is taken"
        jobs.submit()
        assert ids(jobs.match(other, count=1)) == [whole]
        assert jobs.match(other) == [], "nothing is left beside it"
        assert leases_in_use(jobs, other) == 4

    def test_a_whole_node_job_is_not_for_a_vm_that_is_offered_in_parts_only(self, jobs: Queue) -> None:
        vm = jobs.vm(processors=4, offer=Offer(cpu_time=10_000, processors=4, whole_node=False))
        jobs.submit(Requirements(cpu_time=1000, whole_node=True))
        assert jobs.match(vm) == []

    @pytest.mark.parametrize(
        ("needs", "seconds"),
        [
            (Requirements(cpu_time=1000), 1000),
            # All of its processors used to the full, all the time: shorter it cannot be.
            (Requirements(cpu_time=1000, processors=2), 500),
            (Requirements(cpu_time=1000, whole_node=True), 250),
        ],
    )
    def test_no_job_that_cannot_end_before_its_vm_does(self, jobs: Queue, needs: Requirements, seconds: float) -> None:
        """Counted from when the cloud was last asked for the VM."""
        offer, launched = Offer(cpu_time=10_000, processors=4, max_lifetime=3600), START + timedelta(minutes=5)
        vm = jobs.vm(processors=4, offer=offer, last_launch_at=launched)
        end = launched + timedelta(hours=1)
        job = jobs.submit(needs)
        assert jobs.match(vm, at=end - timedelta(seconds=seconds - 1)) == []
        assert ids(jobs.match(vm, at=end - timedelta(seconds=seconds))) == [job]

    def test_shorter_jobs_are_still_for_a_vm_that_is_near_its_end(self, jobs: Queue) -> None:
        vm = jobs.vm(processors=2, offer=Offer(cpu_time=10_000, processors=2, max_lifetime=3600))
        jobs.submit(priority=9.0)
        short = jobs.submit(Requirements(cpu_time=100))
        assert ids(jobs.match(vm, at=START + timedelta(minutes=55))) == [short]

    @on_servers
    def test_two_at_the_same_moment_get_different_jobs(self, jobs: Queue) -> None:
        """The second does not wait for the first, and does not go away empty-handed either."""
        one_vm, other_vm = jobs.vm(processors=2), jobs.vm(processors=2)
        first, second, third, fourth = [jobs.submit() for _ in range(4)]
        with jobs.store.write() as session, jobs.store.write() as other:
            row, other_row = instances.locked(session, one_vm), instances.locked(other, other_vm)
            assert row is not None
            assert other_row is not None
            assert ids(leases.match(session, row, 2, 0, 2, START)) == [first, second]
            session.flush()
            assert ids(leases.match(other, other_row, 2, 0, 2, START)) == [third, fourth]


class TestRenew:
    def test_extends_the_leases_that_are_held(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        lease = jobs.match_one(vm)
        assert jobs.renew(vm, lease, at=START + 60 * SECOND) == []
        assert jobs.job(id_).lease_until == START + 60 * SECOND + LEASE

    def test_leaves_what_is_not_named(self, jobs: Queue) -> None:
        vm = jobs.vm(processors=2)
        named, silent = jobs.submit(), jobs.submit()
        first, _ = jobs.match(vm)
        assert first.job.lease is not None
        assert jobs.renew(vm, at=START + SECOND) == []
        assert jobs.renew(vm, first.job.lease, at=START + SECOND) == []
        assert jobs.job(named).lease_until == START + SECOND + LEASE
        assert jobs.job(silent).lease_until == START + LEASE

    def test_tells_which_are_lost(self, jobs: Queue) -> None:
        vm, other, id_ = jobs.vm(), jobs.vm(), jobs.submit()
        lost = jobs.match_one(vm)
        jobs.release(vm)
        mine = jobs.match_one(vm)
        assert jobs.renew(vm, "made up", lost, mine) == sorted(["made up", lost])
        assert jobs.renew(other, mine, at=START + SECOND) == [mine], "another VM's lease is nobody's else"
        assert jobs.job(id_).lease_until == START + LEASE
