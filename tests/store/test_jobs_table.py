"""Jobs as people look at them."""

from __future__ import annotations

import pytest

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import JobStatus
from vmdirac.store import instances, jobs_table, leases, queue, results
from vmdirac.store.database import Store
from vmdirac.store.queue import InputFile, NewJob
from vmdirac.store.results import Result

NEEDS = Requirements(cpu_time=1000, tags=("a", "b"))


@pytest.fixture
def jobs(store: Store) -> list[int]:
    """Three jobs, the first of them done."""
    with store.write() as session:
        ids = queue.submit(
            session,
            [
                NewJob(name, ("true",), NEEDS, files=(InputFile("in", b"input"),), output_files=("out",))
                for name in ("one", "two", "three")
            ],
            START,
        )
        vm = add_instance(session, offer=Offer(cpu_time=1000, tags=("a", "b")))
        row = instances.locked(session, vm.id)
        assert row is not None
        (leased,) = leases.match(session, row, 1, 0, 1, START)
        result = Result(0, 1.0, "", b"log", (InputFile("out", b"output"),))
        results.finish(session, vm.id, leased.job.id, leased.job.lease or "", result, START)
    return ids


def test_the_newest_are_listed_first(store: Store, jobs: list[int]) -> None:
    with store.read() as session:
        assert [row.id for row in jobs_table.job_list(session, [], 100)] == jobs[::-1]
        assert [row.id for row in jobs_table.job_list(session, [], 2)] == jobs[:0:-1]
        assert [row.id for row in jobs_table.job_list(session, [JobStatus.DONE], 100)] == jobs[:1]


def test_all_about_one_job(store: Store, jobs: list[int]) -> None:
    with store.read() as session:
        details = jobs_table.job_details(session, jobs[0])
    assert details is not None
    assert (details.job.name, details.requirements) == ("one", NEEDS)
    assert [(attempt.number, attempt.outcome) for attempt in details.attempts] == [(1, "done")]
    assert [tuple(file) for file in details.files] == [("input", "in"), ("output", "out"), ("log", "log")]


def test_a_job_that_does_not_exist(store: Store) -> None:
    with store.read() as session:
        assert jobs_table.job_details(session, 10**9) is None


def test_results_are_what_came_back(store: Store, jobs: list[int]) -> None:
    with store.read() as session:
        assert sorted(jobs_table.results(session, jobs[0])) == [("log", b"log"), ("out", b"output")]
        assert jobs_table.results(session, jobs[1]) == []
        assert jobs_table.output_files(session, "out") == {"one": b"output"}
        assert jobs_table.output_files(session, "in") == {}
