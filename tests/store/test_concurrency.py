"""Many at once, for real: threads and processes on real databases never get the same job, and never lose one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.fakes.lock_waits import wait_until_somebody_waits
from tests.fakes.processes import each_in_a_process
from tests.fakes.rows import add_instance
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store import instances, leases, lost_jobs, queue, results
from vmdirac.store.database import Store
from vmdirac.store.queue import NewJob
from vmdirac.store.results import Result
from vmdirac.store.tables import AttemptRow, JobRow

WORKERS = 8
JOBS = 50


@pytest.fixture
def jobs(store: Store) -> list[int]:
    """Jobs of two kinds, so that a match looks at more than one task queue."""
    kinds = [Requirements(cpu_time=1000), Requirements(cpu_time=2000)]
    with store.write() as session:
        return queue.submit(session, [NewJob("job", ("true",), kinds[i % 2]) for i in range(JOBS)], START)


@pytest.fixture
def vms(store: Store, jobs: list[int]) -> list[int]:
    with store.write() as session:
        return [add_instance(session, processors=JOBS).id for _ in range(WORKERS)]


def take_until_empty(store: Store, vm: int, count: int) -> list[int]:
    """Match until the queue is empty; the jobs that this VM got."""

    def match(session: Session) -> list[int]:
        row = instances.locked(session, vm)
        assert row is not None
        return [item.job.id for item in leases.match(session, row, JOBS, 0, count, START)]

    taken: list[int] = []
    while got := store.transact(match):
        taken += got
    return taken


def check(store: Store, taken: list[list[int]], jobs: list[int]) -> None:
    handed_out = Counter(job for mine in taken for job in mine)
    assert handed_out == Counter(jobs), "every job once, and to one VM"
    with store.read() as session:
        assert queue.counts(session) == {JobStatus.RUNNING: len(jobs)}
        assert session.scalar(select(func.count()).select_from(AttemptRow)) == len(jobs)
        assert len(set(session.scalars(select(JobRow.lease)))) == len(jobs)


def at_once(store: Store, deeds: Sequence[Callable[[Session], object]]) -> list[object]:
    """Each in a transaction and a thread of its own, all at the same moment; what came of each."""
    together = Barrier(len(deeds))

    def do(deed: Callable[[Session], object]) -> object:
        together.wait(60)
        return store.transact(deed)

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_threads_that_match_at_once_share_the_jobs(store: Store, jobs: list[int], vms: list[int], count: int) -> None:
    together = Barrier(WORKERS)

    def work(vm: int) -> list[int]:
        together.wait(60)
        return take_until_empty(store, vm, count)

    with ThreadPoolExecutor(WORKERS) as pool:
        check(store, list(pool.map(work, vms)), jobs)


@pytest.mark.slow
def test_processes_that_match_at_once_share_the_jobs(store: Store, jobs: list[int], vms: list[int]) -> None:
    store.close()
    url = store.engine.url.render_as_string(hide_password=False)

    def work(vm: int) -> list[int]:
        own = Store(url)
        try:
            return take_until_empty(own, vm, 1)
        finally:
            own.close()

    check(store, each_in_a_process([partial(work, vm) for vm in vms]), jobs)


@on_servers
def test_nobody_waits_for_a_job_that_another_is_taking(store: Store, jobs: list[int], vms: list[int]) -> None:
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    take_until_empty(store, vms[0], 1)
    locks = [text for text in statements if "vmdirac_jobs" in text and "FOR UPDATE" in text]
    assert locks
    assert all("SKIP LOCKED" in text for text in locks)


@on_servers
def test_a_lease_that_is_being_taken_back_is_not_renewed(store: Store, jobs: list[int], vms: list[int]) -> None:
    vm = vms[0]
    take_until_empty(store, vm, JOBS)
    with store.read() as session:
        lease = session.scalars(select(JobRow.lease)).first()
    assert lease is not None
    with ThreadPoolExecutor(1) as pool:
        with store.write() as session:
            lost_jobs.release(session, [vm], "lost", START)
            renewed = pool.submit(store.transact, partial(leases.renew, instance_id=vm, held=[lease], now=START))
            wait_until_somebody_waits(store)
        assert renewed.result() == [lease]
    with store.read() as session:
        assert set(session.scalars(select(JobRow.lease_until))) == {None}


@pytest.mark.slow
def test_a_result_the_end_of_the_lease_and_a_cancel_at_once_leave_one_truth(store: Store) -> None:
    """Whoever is first decides, and the others see it: never two ends of one job."""
    rounds = 15
    result = Result(0, 1.0, "", b"", ())
    for _ in range(rounds):
        with store.write() as session:
            (job,) = queue.submit(session, [NewJob("job", ("true",), Requirements(cpu_time=1000))], START)
            vm = add_instance(session)
            row = instances.locked(session, vm.id)
            assert row is not None
            (leased,) = leases.match(session, row, 1, 0, 1, START)
            lease = leased.job.lease or ""
        deeds: list[Callable[[Session], object]] = [
            partial(results.finish, instance_id=vm.id, job_id=job, lease=lease, result=result, now=START),
            partial(lost_jobs.release, instance_ids=[vm.id], outcome="lost", now=START),
            partial(queue.cancel, job_ids=[job], now=START),
            partial(leases.renew, instance_id=vm.id, held=[lease], now=START),
        ]
        finished, released, cancelled, _ = at_once(store, deeds)
        with store.read() as session:
            status = session.get_one(JobRow, job).status
            outcomes = session.scalars(select(AttemptRow.outcome).where(AttemptRow.job_id == job)).all()
        assert outcomes in (["done"], ["lost"], ["cancelled"])
        assert finished == (outcomes == ["done"])
        assert released == (outcomes == ["lost"])
        # A job that went back to the queue may be cancelled there.
        expected = {"done": JobStatus.DONE, "lost": JobStatus.WAITING, "cancelled": JobStatus.CANCELLED}
        assert status == (JobStatus.CANCELLED if cancelled else expected[outcomes[0]])


@pytest.mark.slow
def test_of_many_changes_from_one_look_exactly_one_is_made(store: Store) -> None:
    for _ in range(10):
        with store.write() as session:
            before = add_instance(session)
        changes: list[Callable[[Session], object]] = [
            partial(
                instances.change,
                instance=before,
                now=START,
                reason=f"by {number}",
                to=InstanceStatus.STOPPING,
                delete_attempts=number,
            )
            for number in range(WORKERS)
        ]
        winners = [number for number, won in enumerate(at_once(store, changes)) if won]
        assert len(winners) == 1
        with store.read() as session:
            after = instances.get(session, before.id)
            lines = [line.reason for line in instances.history(session, before.id)]
        assert after is not None
        assert after.delete_attempts == winners[0]
        assert lines == ["made by a test", f"by {winners[0]}"]
