"""What happened in all, whether its rows are still there or not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.fakes.lock_waits import wait_until_somebody_waits
from tests.store.test_housekeeping import add_job
from vmdirac.model.event import Event, EventKind
from vmdirac.model.states import JobStatus
from vmdirac.store import counting, housekeeping, totals
from vmdirac.store.database import Store
from vmdirac.store.tables import TotalRow
from vmdirac.store.totals import Total

DAY = timedelta(days=1)


def test_they_are_added_up_by_kind(store: Store) -> None:
    with store.write() as session:
        counting.add_totals(
            session,
            [
                Event(EventKind.HALT, START, "p", "a", "idle"),
                Event(EventKind.HALT, START + timedelta(hours=5), "q", "b", "idle"),
                Event(EventKind.HALT, START, "p", "a", "died"),
                Event(EventKind.LAUNCH, START, "p", "a"),
                Event(EventKind.LAUNCH, START - DAY, "p", "a"),
                Event(EventKind.DECISION, START, "p", "a", "planned"),
                Event(EventKind.TICK, START, seconds=1.5),
                Event(EventKind.TICK, START, seconds=2.5),
            ],
        )
    with store.read() as session:
        assert totals.since(session, START) == [
            Total(EventKind.LAUNCH, "", 1, 0),
            Total(EventKind.HALT, "died", 1, 0),
            Total(EventKind.HALT, "idle", 2, 0),
            Total(EventKind.TICK, "", 2, 4),
        ]
        assert totals.since(session, START + DAY) == []


def test_jobs_count_once_before_and_after_they_are_deleted(store: Store) -> None:
    with store.write() as session:
        for cpu in (10, 20):
            add_job(session, JobStatus.DONE, finished_at=START, cpu_seconds=cpu)
        add_job(session, JobStatus.DONE, finished_at=START - DAY)
        add_job(session, JobStatus.WAITING)
    expected = [Total(EventKind.JOB, "done", 2, 30)]
    for _ in range(3):
        with store.write() as session:
            assert totals.since(session, START) == expected
            found = housekeeping.old_jobs(session, START + DAY, 2)
            housekeeping.delete_jobs(session, found, START + DAY)


@on_servers
def test_two_who_add_to_an_hour_at_the_same_time_lose_nothing(store: Store) -> None:
    """On SQLite nobody else writes meanwhile."""
    tick = Event(EventKind.TICK, START, seconds=2)
    with store.write() as session:
        counting.add_totals(session, [tick])
    with store.write() as one:
        # Read before the other one adds to it, and held: as what is read between two of its statements would be.
        read = one.scalars(select(TotalRow)).one()
        assert read.count == 1
        with store.write() as other:
            counting.add_totals(other, [tick])
        counting.add_totals(one, [tick])
    with store.read() as session:
        assert totals.since(session, START) == [Total(EventKind.TICK, "", 3, 6)]


@on_servers
def test_two_who_begin_an_hour_at_the_same_time_lose_nothing(store: Store) -> None:
    """Both find no total and insert one: the second one is refused, and adds to that of the first."""
    tick, halt = Event(EventKind.TICK, START, seconds=2), Event(EventKind.HALT, START, "p", "a", "idle")
    tries = []

    def second(session: Session) -> None:
        tries.append(1)
        counting.add_totals(session, [tick, halt])

    with ThreadPoolExecutor(1) as pool:
        with store.write() as one:
            counting.add_totals(one, [tick])
            done = pool.submit(store.transact, second)
            wait_until_somebody_waits(store)
        done.result(60)
    assert len(tries) == 2, "they were not in each other's way"
    with store.read() as session:
        assert totals.since(session, START) == [Total(EventKind.HALT, "idle", 1, 0), Total(EventKind.TICK, "", 2, 4)]


def test_many_who_begin_hours_at_the_same_time_lose_nothing(store: Store) -> None:
    """In any order, and whoever has to try again: nobody fails, and each is counted once."""
    hours = [START + timedelta(hours=number) for number in range(4)]
    together = Barrier(4)

    def add(first: int) -> None:
        together.wait(60)
        events = [Event(EventKind.TICK, hour, seconds=1) for hour in hours[first:] + hours[:first]]
        store.transact(lambda session: counting.add_totals(session, events))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    with store.read() as session:
        counted = {row.hour: (row.count, row.seconds) for row in session.scalars(select(TotalRow))}
    assert counted == {counting.hour_of(hour): (4, 4) for hour in hours}
