"""How jobs end: by who holds the lease, once, and with what they left."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from tests.store.job_queue import Queue
from vmdirac.model.states import JobStatus
from vmdirac.store import queue
from vmdirac.store.queue import InputFile
from vmdirac.store.results import Result
from vmdirac.store.tables import JobRow

SECOND = timedelta(seconds=1)
LEASE = timedelta(seconds=3 * 60)


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
