"""What the demo wants to know of its jobs and VMs: the only place that knows vmdirac's store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store import instances, jobs_table, queue
from vmdirac.store.database import Store


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far the demo is: jobs and VMs by state; states without any may be left out.

    :param open_vms: VMs that the cloud has not confirmed to be gone.
    """

    jobs: Mapping[JobStatus, int]
    vms: Mapping[InstanceStatus, int]
    open_vms: int

    @property
    def all_jobs(self) -> int:
        """Jobs in whatever state."""
        return sum(self.jobs.values())

    @property
    def done(self) -> int:
        """Jobs that came to a good end."""
        return self.jobs.get(JobStatus.DONE, 0)

    @property
    def open_jobs(self) -> int:
        """Jobs that have not ended yet."""
        return self.jobs.get(JobStatus.WAITING, 0) + self.jobs.get(JobStatus.RUNNING, 0)


class Progress:
    """:param database: vmdirac's SQLite file; it need not be there yet."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._store = Store(f"sqlite:///{database}")

    def unfinished(self) -> bool:
        """Whether there is something to go on with: jobs to be done, or VMs to be rid of."""
        if not self._database.exists():
            return False
        try:
            seen = self.snapshot()
            return seen.open_jobs > 0 or seen.open_vms > 0
        except SQLAlchemyError:  # the tables are missing, or another version's: nothing to go on with
            return False

    def snapshot(self) -> Snapshot:
        """How far it is now."""
        with self._store.read() as session:
            open_vms = len(instances.unfinished(session))
            return Snapshot(queue.counts(session), instances.counts(session), open_vms)

    def outputs(self, file: str) -> dict[str, bytes]:
        """The output file of this name that each job brought back, by the job's name."""
        with self._store.read() as session:
            return jobs_table.output_files(session, file)

    def started(self) -> int:
        """How many instances ever got a cloud id."""
        with self._store.read() as session:
            return sum(instances.counts_with_vm(session).values())

    def halted(self) -> int:
        """How many of these are Halted."""
        with self._store.read() as session:
            return instances.counts_with_vm(session).get(InstanceStatus.HALTED, 0)

    def troubles(self) -> list[str]:
        """A line for every job that is not done and every VM that is not Halted."""
        with self._store.read() as session:
            not_done = [status for status in JobStatus if status is not JobStatus.DONE]
            jobs = jobs_table.job_list(session, not_done, limit=1000)
            vms = instances.unfinished(session)
        return [
            *(f"job {job.name} is {job.status} {job.message}".rstrip() for job in jobs),
            *(f"VM {vm.endpoint}/{vm.cloud_id} is {vm.status}" for vm in vms),
        ]

    def close(self) -> None:
        """Give the database back; it can be used again."""
        self._store.close()
