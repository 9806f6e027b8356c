"""Who runs which job: nobody else, not for longer than it is heard of, and never more than the VM has room for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.store.job_queue import Queue
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import JobStatus
from vmdirac.store import instances, lease_usage, leases, queue
from vmdirac.store.leases import Leased, Result
from vmdirac.store.queue import InputFile
from vmdirac.store.tables import JobRow

SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=3 * 60)


def ids(leased: Sequence[Leased]) -> list[int]:
    return [item.job.id for item in leased]


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


class TestFinish:
    def test_of_a_job_that_ended_well(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit(output_files=("tile.png",))
        lease = jobs.match_one(vm)
        files = (InputFile("tile.png", b"\x89PNG"), InputFile("nobody-asked", b"x"))
        result = Result(0, 12.5, "", b"all went well\n", files)
        assert jobs.finish(vm, id_, lease, result, at=START + SECOND)
        job = jobs.job(id_)
        assert (job.status, job.exit_code, job.cpu_seconds) == (JobStatus.DONE, 0, 12.5)
        assert (job.finished_at, job.lease, job.lease_until) == (START + SECOND, None, None)
        assert jobs.results(id_) == {"tile.png": b"\x89PNG", "log": b"all went well\n"}
        (attempt,) = jobs.attempts(id_)
        assert (attempt.outcome, attempt.exit_code, attempt.ended_at) == ("done", 0, START + SECOND)

    def test_of_a_job_that_failed_keeps_why_and_what_there_is(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit(output_files=("a", "b"))
        result = Result(-9, 1.0, "out of CPU time", b"log", (InputFile("a", b"half"),))
        assert jobs.finish(vm, id_, jobs.match_one(vm), result)
        job = jobs.job(id_)
        assert (job.status, job.exit_code, job.message) == (JobStatus.FAILED, -9, "out of CPU time")
        assert jobs.results(id_) == {"a": b"half", "log": b"log"}
        assert jobs.attempts(id_)[0].outcome == "failed"

    def test_of_a_job_whose_output_is_missing_is_a_failure(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit(output_files=("a", "b", "c"))
        assert jobs.finish(vm, id_, jobs.match_one(vm), Result(0, 1.0, "", b"", (InputFile("b", b""),)))
        job = jobs.job(id_)
        assert job.status is JobStatus.FAILED
        assert job.message == "it ended well but left no a, c"

    def test_again_with_the_same_lease_changes_nothing(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        lease = jobs.match_one(vm)
        assert jobs.finish(vm, id_, lease)
        worse = Result(1, 99.0, "a lie", b"another log", ())
        assert jobs.finish(vm, id_, lease, worse, at=START + SECOND)
        job = jobs.job(id_)
        assert (job.status, job.exit_code, job.finished_at) == (JobStatus.DONE, 0, START)
        assert jobs.results(id_) == {"log": b"well"}
        assert jobs.attempts(id_)[0].late_at is None

    def test_of_a_job_that_another_vm_has_now_is_late(self, jobs: Queue) -> None:
        slow, fast, id_ = jobs.vm(), jobs.vm(), jobs.submit()
        late = jobs.match_one(slow)
        jobs.expire(START + LEASE + SECOND)
        lease = jobs.match_one(fast)
        assert not jobs.finish(slow, id_, late, Result(1, 1.0, "late", b"late", ()), at=START + 2 * LEASE)
        assert jobs.job(id_).status is JobStatus.RUNNING
        assert jobs.results(id_) == {}
        first, second = jobs.attempts(id_)
        assert (first.outcome, first.late_at) == ("lost", START + 2 * LEASE)
        assert (second.outcome, second.late_at) == (None, None)
        assert jobs.finish(fast, id_, lease)
        assert jobs.job(id_).status is JobStatus.DONE

    def test_of_a_cancelled_job_is_late(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        lease = jobs.match_one(vm)
        with jobs.store.write() as session:
            queue.cancel(session, [id_], START)
        assert not jobs.finish(vm, id_, lease, at=START + SECOND)
        assert jobs.job(id_).status is JobStatus.CANCELLED
        (attempt,) = jobs.attempts(id_)
        assert (attempt.outcome, attempt.late_at) == ("cancelled", START + SECOND)

    def test_under_a_lease_that_ran_out_but_was_not_taken_back_is_taken(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        lease = jobs.match_one(vm)
        assert jobs.finish(vm, id_, lease, at=START + 2 * LEASE)

    def test_by_another_vm_or_with_another_lease_or_of_another_job_is_refused(self, jobs: Queue) -> None:
        vm, other, id_, other_id = jobs.vm(processors=2), jobs.vm(), jobs.submit(), jobs.submit()
        first, second = jobs.match(vm)
        lease, other_lease = first.job.lease or "", second.job.lease or ""
        assert not jobs.finish(other, id_, lease)
        assert not jobs.finish(vm, id_, "made up")
        assert not jobs.finish(vm, id_, other_lease)
        assert not jobs.finish(vm, other_id, lease)
        assert not jobs.finish(vm, 10**9, lease)
        assert [jobs.job(job).status for job in (id_, other_id)] == [JobStatus.RUNNING] * 2
        assert [attempt.late_at for job in (id_, other_id) for attempt in jobs.attempts(job)] == [None, None]

    def test_with_a_file_sent_twice_takes_the_last_one(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit(output_files=("a",))
        files = (InputFile("a", b"first"), InputFile("a", b"last"))
        assert jobs.finish(vm, id_, jobs.match_one(vm), Result(0, 1.0, "", b"", files))
        assert jobs.results(id_)["a"] == b"last"

    def test_with_as_much_output_as_a_vm_may_send(self, jobs: Queue) -> None:
        """Three files of the largest size: more than MariaDB takes in one statement by default."""
        names = ("a", "b", "c")
        vm, id_ = jobs.vm(), jobs.submit(output_files=names)
        files = tuple(InputFile(name, name.encode() * (8 << 20)) for name in names)
        assert jobs.finish(vm, id_, jobs.match_one(vm), Result(0, 1.0, "", b"", files))
        assert {name: len(content) for name, content in jobs.results(id_).items()} == {
            "log": 0,
            **dict.fromkeys(names, 8 << 20),
        }

    def test_an_earlier_attempts_files_are_replaced(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit(output_files=("a",))
        assert jobs.finish(vm, id_, jobs.match_one(vm), Result(1, 1.0, "", b"old", (InputFile("a", b"old"),)))
        with jobs.store.write() as session:
            session.get_one(JobRow, id_).status = JobStatus.WAITING
        assert jobs.finish(vm, id_, jobs.match_one(vm), Result(0, 1.0, "", b"new", (InputFile("a", b"new"),)))
        assert jobs.results(id_) == {"a": b"new", "log": b"new"}


class TestExpire:
    def test_takes_jobs_back_whose_leases_ran_out(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        lease = jobs.match_one(vm)
        assert jobs.expire(START + LEASE) == 0
        assert jobs.expire(START + LEASE + SECOND) == 1
        job = jobs.job(id_)
        assert (job.status, job.instance_id, job.lease, job.started_at) == (JobStatus.WAITING, None, None, None)
        (attempt,) = jobs.attempts(id_)
        assert (attempt.outcome, attempt.ended_at) == ("lost", START + LEASE + SECOND)
        assert jobs.renew(vm, lease) == [lease]

    def test_leaves_leases_that_were_renewed(self, jobs: Queue) -> None:
        vm = jobs.vm()
        jobs.submit()
        lease = jobs.match_one(vm)
        jobs.renew(vm, lease, at=START + 60 * SECOND)
        assert jobs.expire(START + LEASE + 59 * SECOND) == 0
        assert jobs.expire(START + LEASE + 61 * SECOND) == 1

    def test_waits_a_whole_lease_from_when_the_manager_could_hear_again(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        jobs.match_one(vm)
        back = START + timedelta(hours=5)
        assert jobs.expire(back + LEASE, hearing_since=back) == 0
        assert jobs.expire(back + LEASE + SECOND, hearing_since=back) == 1
        assert jobs.job(id_).status is JobStatus.WAITING

    def test_concludes_nothing_while_no_manager_ever_heard(self, jobs: Queue) -> None:
        vm = jobs.vm()
        jobs.submit()
        jobs.match_one(vm)
        assert jobs.expire(START + timedelta(days=9), hearing_since=None) == 0

    def test_a_job_is_begun_so_often_at_most(self, jobs: Queue) -> None:
        vm, id_, at = jobs.vm(), jobs.submit(max_attempts=2), START
        for number in (1, 2):
            jobs.match_one(vm, at=at)
            at += LEASE + SECOND
            assert jobs.expire(at) == 1
            assert jobs.job(id_).attempts == number
        job = jobs.job(id_)
        assert (job.status, job.finished_at) == (JobStatus.FAILED, at)
        assert job.message == "its VM was lost 2 times; it may be begun 2 times"
        assert jobs.match(vm) == []


class TestRelease:
    def test_takes_all_jobs_of_a_vm_back_and_no_others(self, jobs: Queue) -> None:
        vm, other = jobs.vm(processors=2), jobs.vm()
        first, second, others = jobs.submit(), jobs.submit(), jobs.submit()
        assert ids(jobs.match(vm)) == [first, second]
        assert ids(jobs.match(other)) == [others]
        assert jobs.release(vm, "returned", at=START + SECOND) == 2
        assert [jobs.job(id_).status for id_ in (first, second)] == [JobStatus.WAITING] * 2
        assert jobs.job(others).status is JobStatus.RUNNING
        assert jobs.attempts(first)[0].outcome == "returned"
        assert jobs.release(vm) == 0

    def test_leaves_jobs_that_are_over(self, jobs: Queue) -> None:
        vm, id_ = jobs.vm(), jobs.submit()
        jobs.finish(vm, id_, jobs.match_one(vm))
        assert jobs.release(vm) == 0
        assert jobs.job(id_).status is JobStatus.DONE

    def test_frees_the_vms_processors(self, jobs: Queue) -> None:
        vm, _ = jobs.vm(), jobs.submit()
        jobs.match_one(vm)
        with jobs.store.read() as session:
            assert lease_usage.running_on(session, vm) == 1
        jobs.release(vm)
        with jobs.store.read() as session:
            assert lease_usage.running_on(session, vm) == 0
        jobs.match_one(vm)
