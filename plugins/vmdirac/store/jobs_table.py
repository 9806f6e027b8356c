"""Jobs of the embedded queue as people look at them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.model.output_target import Upload
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import JobStatus
from vmdirac.store.tables import AttemptRow, JobFileRow, JobRow, JobUploadRow, TaskQueueRow


@dataclass(frozen=True, slots=True)
class JobDetails:
    """All about one job."""

    job: JobRow
    requirements: Requirements
    attempts: Sequence[AttemptRow]
    files: Sequence[tuple[str, str]]
    uploads: Sequence[Upload]


def job_list(session: Session, statuses: Collection[JobStatus], limit: int) -> Sequence[JobRow]:
    """The newest jobs first; ``statuses`` empty: in any state."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
    if statuses:
        query = query.where(JobRow.status.in_(statuses))
    return session.scalars(query).all()


def job_details(session: Session, job_id: int) -> JobDetails | None:
    """One job with its attempts and the (direction, name) of its files; ``None``: there is no such job."""
    job = session.get(JobRow, job_id)
    if job is None:
        return None
    needs = session.get_one(TaskQueueRow, job.task_queue_id).requirements
    attempts = session.scalars(select(AttemptRow).where(AttemptRow.job_id == job_id).order_by(AttemptRow.number))
    files = session.execute(
        select(JobFileRow.direction, JobFileRow.name).where(JobFileRow.job_id == job_id).order_by(JobFileRow.id)
    )
    uploads = session.scalars(select(JobUploadRow).where(JobUploadRow.job_id == job_id).order_by(JobUploadRow.id))
    put = [Upload(row.name, row.location, row.size) for row in uploads]
    return JobDetails(job, Requirements.from_json(needs), attempts.all(), files.all(), put)


def results(session: Session, job_id: int) -> list[tuple[str, bytes]]:
    """What came back from a job: its output files, and its log as ``log``."""
    query = select(JobFileRow.name, JobFileRow.content).where(
        JobFileRow.job_id == job_id, JobFileRow.direction != "input"
    )
    return list(session.execute(query).all())


def output_files(session: Session, name: str) -> dict[str, bytes]:
    """The output file of this name of every job that left one, by the job's name."""
    query = (
        select(JobRow.name, JobFileRow.content)
        .join(JobFileRow, JobFileRow.job_id == JobRow.id)
        .where(JobFileRow.direction == "output", JobFileRow.name == name)
    )
    return dict(session.execute(query).all())
