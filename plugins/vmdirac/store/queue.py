"""The embedded queue: submitting, listing and cancelling jobs, and the demand that they make."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import Function, LargeBinary, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.model.states import JobStatus
from vmdirac.policy.matching import matches
from vmdirac.store.database import Store
from vmdirac.store.tables import AttemptRow, JobFileRow, JobRow, TaskQueueRow


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that goes with a job to its VM."""

    name: str
    content: bytes = field(repr=False)
    executable: bool = False


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be submitted.

    :param command: program and arguments, run in a directory of the job's own that holds ``files``.
    :param output_files: files that the job leaves there and that come back; a missing one makes the job failed.
    :param max_attempts: how often it is begun at most, if the VMs that have it are lost.
    """

    name: str
    command: tuple[str, ...]
    requirements: Requirements
    priority: float = 0.0
    environment: tuple[tuple[str, str], ...] = ()
    files: tuple[InputFile, ...] = ()
    output_files: tuple[str, ...] = ()
    max_attempts: int = 3


def submit(session: Session, jobs: Sequence[NewJob], now: datetime) -> list[int]:
    """Put jobs into the queue, all or none with the transaction; their ids in the same order."""
    queues = {job.requirements.digest(): job.requirements.normalized() for job in jobs}
    ids = {digest: _task_queue_id(session, digest, needs) for digest, needs in queues.items()}
    rows = [
        JobRow(
            task_queue_id=ids[job.requirements.digest()],
            name=job.name,
            status=JobStatus.WAITING,
            priority=job.priority,
            command=list(job.command),
            environment=dict(job.environment),
            output_files=list(job.output_files),
            max_attempts=job.max_attempts,
            submitted_at=now,
        )
        for job in jobs
    ]
    session.add_all(rows)
    session.flush()
    insert_files(session, "input", ((row.id, file) for row, job in zip(rows, jobs, strict=True) for file in job.files))
    return [row.id for row in rows]


def insert_files(session: Session, direction: str, files: Iterable[tuple[int, InputFile]]) -> None:
    """Keep files of jobs, each with its job's id. One statement a file: all in one would be more than MariaDB takes."""
    for job_id, file in files:
        session.execute(
            insert(JobFileRow).values(
                job_id=job_id,
                direction=direction,
                name=file.name,
                executable=file.executable,
                content=_content(session, file.content),
            )
        )


def _content(session: Session, content: bytes) -> bytes | Function[bytes]:
    """MariaDB's driver writes bytes as hexadecimal digits into the statement, which for the largest files is more than
    the 16 MiB that MariaDB takes by default; as base64 they fit."""
    if session.get_bind().dialect.name not in {"mysql", "mariadb"}:
        return content
    return func.from_base64(b64encode(content).decode(), type_=LargeBinary)


def _task_queue_id(session: Session, digest: str, needs: Requirements) -> int:
    query = select(TaskQueueRow.id).where(TaskQueueRow.digest == digest)
    found = session.scalar(query)
    if found is not None:
        return found
    try:
        with session.begin_nested():
            row = TaskQueueRow(digest=digest, requirements=asdict(needs))
            session.add(row)
            session.flush()
            return row.id
    except IntegrityError:
        # Somebody else submitted the first job of this kind at the same moment.
        return session.scalars(query).one()


def counts(session: Session, job_ids: Collection[int] | None = None) -> dict[JobStatus, int]:
    """How many jobs are in each state, of all or of the given ones; states without any are left out."""
    query = select(JobRow.status, func.count()).group_by(JobRow.status)
    if job_ids is not None:
        query = query.where(JobRow.id.in_(job_ids))
    return dict(session.execute(query).all())


def cancel(session: Session, job_ids: Collection[int], now: datetime) -> list[int]:
    """Cancel waiting and running jobs; the ids of those that were. A VM that runs one is told with its heartbeat."""
    live = [JobStatus.WAITING, JobStatus.RUNNING]
    query = select(JobRow).where(JobRow.id.in_(job_ids), JobRow.status.in_(live)).with_for_update()
    rows = list(session.scalars(query))
    for row in rows:
        if row.lease is not None:
            session.execute(
                update(AttemptRow).where(AttemptRow.lease == row.lease).values(ended_at=now, outcome="cancelled")
            )
        row.status, row.finished_at, row.lease, row.lease_until = JobStatus.CANCELLED, now, None, None
    return [row.id for row in rows]


@dataclass(frozen=True, slots=True)
class WaitingQueue:
    """A task queue with waiting jobs; ``oldest`` is the lowest id among them."""

    task_queue_id: int
    requirements: Requirements
    jobs: int
    priority: float
    oldest: int


def waiting(session: Session) -> list[WaitingQueue]:
    """All task queues in which jobs wait."""
    jobs = (
        select(
            JobRow.task_queue_id,
            func.count().label("jobs"),
            func.max(JobRow.priority).label("priority"),
            func.min(JobRow.id).label("oldest"),
        )
        .where(JobRow.status == JobStatus.WAITING)
        .group_by(JobRow.task_queue_id)
        .subquery()
    )
    query = select(TaskQueueRow.id, TaskQueueRow.requirements, jobs).join(jobs, jobs.c.task_queue_id == TaskQueueRow.id)
    return [
        WaitingQueue(row.id, Requirements.from_json(row.requirements), row.jobs, row.priority, row.oldest)
        for row in session.execute(query)
    ]


class EmbeddedJobSource:
    """The embedded queue as a job source: always there, and never out of date."""

    def __init__(self, store: Store, now: datetime) -> None:
        self._store = store
        self._now = now

    def task_queues(self, offers: Sequence[Offer]) -> Demand:
        """See :class:`vmdirac.model.contracts.JobSource`."""
        with self._store.read() as session:
            found = waiting(session)
        different = set(offers)
        served = [item for item in found if any(matches(item.requirements, offer) for offer in different)]
        return Demand(
            tuple(TaskQueue(str(item.task_queue_id), item.requirements, item.jobs, item.priority) for item in served),
            observed_at=self._now,
            unmatched=sum(item.jobs for item in found) - sum(item.jobs for item in served),
        )
