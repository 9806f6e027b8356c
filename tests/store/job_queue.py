"""The queue with a few short words for what tests do to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.store import instances, jobs_table, leases, lost_jobs, queue, results
from vmdirac.store.database import Store
from vmdirac.store.leases import Leased
from vmdirac.store.queue import NewJob
from vmdirac.store.results import Result
from vmdirac.store.tables import AttemptRow, JobRow

GOOD = Result(exit_code=0, cpu_seconds=12.5, message="", log=b"well", files=())


def ids(leased: Sequence[Leased]) -> list[int]:
    """Which jobs were handed out."""
    return [item.job.id for item in leased]


@dataclass
class Queue:
    """The queue with a few short words for what the tests do to it."""

    store: Store

    def vm(self, processors: int = 1, memory_mb: int = 0, **fields: Any) -> int:
        fields.setdefault("offer", Offer(cpu_time=10_000, processors=processors, memory_mb=memory_mb))
        with self.store.write() as session:
            return add_instance(session, processors=processors, memory_mb=memory_mb, **fields).id

    def submit(self, needs: Requirements | None = None, **fields: Any) -> int:
        default = {"name": "job", "command": ("true",), "requirements": needs or Requirements(cpu_time=1000)}
        with self.store.write() as session:
            return queue.submit(session, [NewJob(**{**default, **fields})], START)[0]

    def match(
        self, vm: int, processors: int = 64, memory_mb: int = 0, count: int = 64, at: datetime = START
    ) -> list[Leased]:
        with self.store.write() as session:
            row = instances.locked(session, vm)
            assert row is not None
            return leases.match(session, row, processors, memory_mb, count, at)

    def match_one(self, vm: int, at: datetime = START) -> str:
        """The lease of the one job that the VM gets."""
        (leased,) = self.match(vm, count=1, at=at)
        assert leased.job.lease is not None
        return leased.job.lease

    def finish(self, vm: int, job: int, lease: str, result: Result = GOOD, at: datetime = START) -> bool:
        with self.store.write() as session:
            return results.finish(session, vm, job, lease, result, at)

    def renew(self, vm: int, *held: str, at: datetime = START) -> list[str]:
        with self.store.write() as session:
            return leases.renew(session, vm, held, at)

    def expire(self, at: datetime, hearing_since: datetime | None = START) -> int:
        with self.store.write() as session:
            return lost_jobs.expire(session, hearing_since, at)

    def release(self, vm: int, outcome: str = "returned", at: datetime = START) -> int:
        with self.store.write() as session:
            return lost_jobs.release(session, [vm], outcome, at)

    def job(self, id_: int) -> JobRow:
        with self.store.read() as session:
            return session.get_one(JobRow, id_)

    def attempts(self, job: int) -> Sequence[AttemptRow]:
        with self.store.read() as session:
            query = select(AttemptRow).where(AttemptRow.job_id == job).order_by(AttemptRow.number)
            return session.scalars(query).all()

    def results(self, job: int) -> dict[str, bytes]:
        with self.store.read() as session:
            return dict(jobs_table.results(session, job))
