"""The house is kept in short transactions, with pauses in which others get in, and never longer than it may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.configured import an_endpoint
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance
from tests.fakes.world import World
from tests.store.test_housekeeping import add_job, everything_is_counted, ids
from vmdirac.loops import housekeeping as module
from vmdirac.loops.count import count
from vmdirac.loops.housekeeping import Retention, Swept, keep_house
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store import agent_programs, housekeeping, instances
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow, JobRow, TotalRow

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
KEPT = Retention(
    history=30 * DAY, instances=90 * DAY, jobs=60 * DAY, decisions=7 * DAY, credentials=80 * DAY, totals=1000 * DAY
)
LATER = START + 100 * DAY


@dataclass
class House:
    """Keeps house by a clock that goes on by ``takes`` each time that it is looked at, so that a transaction takes as
    long; ``meanwhile`` is done in pauses."""

    store: Store
    takes: float = 0.01
    end: float = 1e9
    meanwhile: Callable[[], object] = lambda: None
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def seconds(self) -> float:
        self.now += self.takes
        return self.now

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.meanwhile()

    def keep(self) -> Swept:
        return keep_house(
            self.store,
            KEPT,
            LATER,
            pause=self.pause,
            seconds=self.seconds,
            time_left=lambda: self.now < self.end,
        )


def a_lot(store: Store, jobs: int = 100) -> int:
    """Old jobs, and a VM that lives; its id."""
    with store.write() as session:
        for _ in range(jobs):
            add_job(session, JobStatus.DONE, finished_at=START)
        id_ = add_instance(session, InstanceStatus.RUNNING).id
        everything_is_counted(session)
    return id_


def heartbeat(store: Store, instance_id: int) -> None:
    """What a VM's call does first."""

    def work(session: Session) -> None:
        row = instances.locked(session, instance_id)
        assert row is not None
        row.load += 1

    store.transact(work)


def test_in_pauses_others_get_in(store: Store) -> None:
    vm = a_lot(store)
    house = House(store, meanwhile=lambda: heartbeat(store, vm))
    assert house.keep().deleted["jobs"] == 100
    assert len(house.pauses) > 2
    with store.read() as session:
        assert session.get_one(InstanceRow, vm).load == len(house.pauses)


@on_servers
def test_it_waits_for_nobody_who_works_and_nobody_waits_for_it(store: Store) -> None:
    """On SQLite one writes at a time: that is what the pauses are for."""
    vm = a_lot(store)
    with store.write() as session:
        assert instances.locked(session, vm) is not None
        add_job(session, JobStatus.RUNNING, vm)
        assert House(store).keep().deleted["jobs"] == 100
    with store.write() as session:
        heartbeat_of_another = add_instance(session, InstanceStatus.RUNNING).id
        for _ in range(3):
            add_job(session, JobStatus.DONE, finished_at=START)
    with store.write() as session:
        # A transaction of the house-keeper that has not ended.
        found = housekeeping.old_jobs(session, LATER - KEPT.jobs, 10)
        assert housekeeping.delete_jobs(session, found, LATER - KEPT.jobs) == 3
        heartbeat(store, heartbeat_of_another)


@pytest.mark.parametrize(
    ("takes", "sizes"),
    [(0.01, [20, 40, 40]), (0.1, [20, 20, 20, 20, 20]), (1.0, [20, 10, 5, 2, 1] + [1] * 62)],
)
def test_the_longer_a_transaction_takes_the_less_the_next_one_does(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, takes: float, sizes: list[int]
) -> None:
    a_lot(sqlite_store)
    monkeypatch.setattr(module, "AT_MOST", 40)
    done: list[int] = []
    delete = housekeeping.delete_jobs

    def noting(session: Session, ids: list[int], before: object) -> int:
        done.append(len(ids))
        return delete(session, ids, LATER - KEPT.jobs)

    monkeypatch.setattr(housekeeping, "delete_jobs", noting)
    house = House(sqlite_store, takes=takes)
    swept = house.keep()
    assert (swept.deleted["jobs"], swept.complete) == (100, True)
    assert done == sizes
    assert house.pauses == pytest.approx([takes] * len(sizes))


def test_when_its_time_is_over_the_rest_is_for_the_next_time(sqlite_store: Store) -> None:
    a_lot(sqlite_store)
    house = House(sqlite_store, takes=0.1, end=0.3)
    first = house.keep()
    assert (first.deleted["jobs"], first.complete) == (40, False)
    assert House(sqlite_store).keep().deleted["jobs"] == 60


@on_servers
def test_what_is_locked_keeps_it_from_nothing_else(store: Store) -> None:
    a_lot(store, jobs=30)
    with store.write() as session:
        locked = session.scalars(select(JobRow).order_by(JobRow.id).limit(1).with_for_update()).one()
        swept = House(store).keep()
        assert (swept.deleted["jobs"], swept.complete) == (29, True)
        assert locked.id in ids(store, JobRow)
    assert House(store).keep().deleted["jobs"] == 1


def test_what_was_there_can_be_read_from_the_totals_when_all_is_gone(store: Store) -> None:
    world = World(store, endpoints=[an_endpoint(max_instances=2)])
    world.submit(2)
    world.tick()
    with store.write() as session:
        for item in instances.unfinished(session):
            instances.change(session, item, START, "gone", to=InstanceStatus.HALTED, vm_gone=True)
        for job in session.scalars(select(JobRow)):
            job.status, job.finished_at = JobStatus.DONE, START
        session.flush()
    count(store, LATER, lambda _: None)
    swept = House(store).keep()
    assert (swept.deleted["jobs"], swept.deleted["instances"], swept.complete) == (2, 2, True)
    with store.read() as session:
        assert session.scalars(select(func.count()).select_from(InstanceRow)).one() == 0
        totals = {(row.kind, row.what): row.count for row in session.scalars(select(TotalRow))}
    assert totals == {
        ("launch", ""): 2,
        ("phase", "launch"): 2,
        ("phase", "boot"): 2,
        ("halt", "gone"): 2,
        ("tick", ""): 1,
        ("job", "done"): 2,
    }


def test_versions_of_the_agent_that_nobody_comes_for_go(store: Store) -> None:
    with store.write() as session:
        old = agent_programs.keep(session, b"old", LATER - module.AGENT_KEPT - timedelta(seconds=1))
        new = agent_programs.keep(session, b"new", LATER - module.AGENT_KEPT)
    House(store).keep()
    with store.read() as session:
        assert [agent_programs.get(session, digest) for digest in (old, new)] == [None, b"new"]
