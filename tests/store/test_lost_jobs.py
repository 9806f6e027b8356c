"""Jobs that are taken back: not before their time, and not for ever."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from tests.store.job_queue import Queue, ids
from vmdirac.model.states import JobStatus
from vmdirac.store import lease_usage

SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=3 * 60)


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
