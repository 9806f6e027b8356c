"""The embedded queue: what was submitted, what waits, what was cancelled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.model.states import JobStatus
from vmdirac.store import instances, lease_usage, leases, queue
from vmdirac.store.database import Store
from vmdirac.store.queue import EmbeddedJobSource, InputFile, NewJob
from vmdirac.store.tables import AttemptRow, JobFileRow, JobRow, TaskQueueRow

LATER = START + timedelta(minutes=7)
NEEDS = Requirements(cpu_time=1000)


def new_job(needs: Requirements = NEEDS, **fields: Any) -> NewJob:
    return NewJob(**{"name": "job", "command": ("true",), "requirements": needs, **fields})


def submit(store: Store, *jobs: NewJob) -> list[int]:
    with store.write() as session:
        return queue.submit(session, jobs, START)


def job(store: Store, id_: int) -> JobRow:
    with store.read() as session:
        return session.get_one(JobRow, id_)


def counts(store: Store) -> dict[JobStatus, int]:
    with store.read() as session:
        return queue.counts(session)


class TestSubmit:
    def test_keeps_all_of_a_job(self, store: Store) -> None:
        script, data = InputFile("run.sh", b"#!/bin/sh\n", executable=True), InputFile("é 漢", bytes(range(256)))
        (id_,) = submit(
            store,
            new_job(
                name="tile 1",
                command=("sh", "run.sh", "é 漢"),
                priority=2.5,
                environment=(("A", "1"), ("B", "é")),
                files=(script, data),
                output_files=("tile.png",),
                max_attempts=5,
            ),
        )
        kept = job(store, id_)
        assert (kept.name, kept.command, kept.priority) == ("tile 1", ["sh", "run.sh", "é 漢"], 2.5)
        assert (kept.environment, kept.output_files) == ({"A": "1", "B": "é"}, ["tile.png"])
        assert (kept.status, kept.submitted_at) == (JobStatus.WAITING, START)
        assert (kept.attempts, kept.max_attempts, kept.lease) == (0, 5, None)
        with store.read() as session:
            files = session.execute(
                select(JobFileRow.direction, JobFileRow.name, JobFileRow.content, JobFileRow.executable).order_by(
                    JobFileRow.id
                )
            )
            assert [tuple(file) for file in files] == [
                ("input", "run.sh", script.content, True),
                ("input", "é 漢", data.content, False),
            ]

    def test_gives_the_ids_in_the_order_of_the_jobs(self, store: Store) -> None:
        ids = submit(store, *(new_job(name=f"job {number}") for number in range(50)))
        assert [job(store, id_).name for id_ in ids] == [f"job {number}" for number in range(50)]
        assert ids == sorted(ids), "the first is the oldest"

    def test_puts_equal_requirements_into_one_task_queue(self, store: Store) -> None:
        same = [
            Requirements(cpu_time=10, tags=("a", "b"), sites=("x", "y")),
            Requirements(cpu_time=10, tags=("b", "a", "b"), sites=("y", "x")),
        ]
        other = Requirements(cpu_time=10, tags=("a",), sites=("x", "y"))
        first, second, third = submit(store, *map(new_job, [*same, other]))
        (fourth,) = submit(store, new_job(same[1]))
        queues = [job(store, id_).task_queue_id for id_ in (first, second, third, fourth)]
        assert queues[0] == queues[1] == queues[3]
        assert queues[0] != queues[2]

    def test_takes_all_or_none(self, store: Store) -> None:
        good, too_long = new_job(), new_job(files=(InputFile("f", b"1"), InputFile("f", b"2")))
        with pytest.raises(DBAPIError):
            submit(store, good, too_long, good)
        assert counts(store) == {}
        with store.read() as session:
            assert session.scalars(select(TaskQueueRow)).all() == []

    def test_of_nothing_is_nothing_to_do(self, store: Store) -> None:
        assert submit(store) == []

    @on_servers
    def test_by_several_at_once_makes_one_task_queue(self, store: Store) -> None:
        rounds, workers = 5, 4
        together = Barrier(workers)

        def submit_together(number: int) -> None:
            together.wait(60)
            store.transact(lambda session: queue.submit(session, [new_job(Requirements(cpu_time=number))], START))

        for number in range(1, rounds + 1):
            with ThreadPoolExecutor(workers) as pool:
                for future in [pool.submit(submit_together, number) for _ in range(workers)]:
                    future.result()
        assert counts(store) == {JobStatus.WAITING: rounds * workers}
        with store.read() as session:
            assert session.scalar(select(func.count()).select_from(TaskQueueRow)) == rounds


class TestCancel:
    def test_takes_waiting_jobs_out_of_the_queue(self, store: Store) -> None:
        first, second, third = submit(store, *[new_job()] * 3)
        with store.write() as session:
            assert sorted(queue.cancel(session, [first, third, 10**9], LATER)) == [first, third]
        assert counts(store) == {JobStatus.WAITING: 1, JobStatus.CANCELLED: 2}
        assert (job(store, first).finished_at, job(store, second).finished_at) == (LATER, None)

    def test_takes_a_running_job_from_its_vm(self, store: Store) -> None:
        (id_,) = submit(store, new_job())
        with store.write() as session:
            vm = add_instance(session)
            row = instances.locked(session, vm.id)
            assert row is not None
            (leased,) = leases.match(session, row, 1, 0, 1, START)
            lease = leased.job.lease
        assert lease is not None
        with store.write() as session:
            assert queue.cancel(session, [id_], LATER) == [id_]
        cancelled = job(store, id_)
        assert (cancelled.status, cancelled.lease, cancelled.lease_until) == (JobStatus.CANCELLED, None, None)
        with store.write() as session:
            assert leases.renew(session, vm.id, [lease], LATER) == [lease], "the next heartbeat says that it is lost"
            attempt = session.scalars(select(AttemptRow)).one()
            assert (attempt.outcome, attempt.ended_at) == ("cancelled", LATER)
            assert lease_usage.running_on(session, vm.id) == 0

    def test_leaves_jobs_that_are_over(self, store: Store) -> None:
        (id_,) = submit(store, new_job())
        with store.write() as session:
            queue.cancel(session, [id_], START)
        with store.write() as session:
            assert queue.cancel(session, [id_], LATER) == []
        assert job(store, id_).finished_at == START


class TestDemand:
    def test_is_the_waiting_jobs_by_task_queue(self, store: Store) -> None:
        small, large = NEEDS, Requirements(cpu_time=5000, processors=2)
        ids = submit(store, new_job(small), new_job(small, priority=3.0), new_job(small), new_job(large))
        with store.write() as session:
            queue.cancel(session, ids[:1], START)
        offer = Offer(cpu_time=10_000, processors=4)
        demand = EmbeddedJobSource(store, LATER).task_queues([offer])
        assert demand.observed_at == LATER
        found = {(item.requirements, item.jobs, item.priority) for item in demand.task_queues}
        assert found == {(small, 2, 3.0), (large, 1, 0.0)}
        assert demand.jobs == 3

    def test_leaves_out_what_no_offer_can_serve(self, store: Store) -> None:
        submit(store, new_job(Requirements(cpu_time=10)), new_job(Requirements(cpu_time=10, tags=("gpu",))))
        source = EmbeddedJobSource(store, START)
        plain, gpu = Offer(cpu_time=10), Offer(cpu_time=10, tags=("gpu",))
        assert source.task_queues([plain]).jobs == 1
        assert source.task_queues([plain, gpu]).jobs == 2
        assert source.task_queues([]).task_queues == ()

    def test_names_its_task_queues_the_same_each_time(self, store: Store) -> None:
        submit(store, new_job(), new_job(Requirements(cpu_time=7)))

        def keys() -> dict[Requirements, str]:
            queues: tuple[TaskQueue, ...] = (
                EmbeddedJobSource(store, START).task_queues([Offer(cpu_time=10_000)]).task_queues
            )
            return {item.requirements: item.key for item in queues}

        before = keys()
        submit(store, new_job())
        assert keys() == before
        assert len(set(before.values())) == 2


def test_counts_of_some_jobs(store: Store) -> None:
    ids = submit(store, *[new_job()] * 4)
    with store.write() as session:
        queue.cancel(session, ids[:1], START)
    with store.read() as session:
        assert queue.counts(session, ids[:2]) == {JobStatus.CANCELLED: 1, JobStatus.WAITING: 1}
        assert queue.counts(session, []) == {}
