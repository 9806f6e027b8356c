from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Double, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.model.states import JobStatus
from vmdirac.store.tables.base import (
    MARIADB_OPTIONS,
    Base,
    BigId,
    Content,
    Enumerated,
    Id,
    LongText,
    Name,
    OptionalTime,
    Time,
)


class TaskQueueRow(Base):
    """Jobs with equal requirements; ``digest`` is the same for equal requirements."""

    __tablename__ = "vmdirac_task_queues"
    __table_args__ = (MARIADB_OPTIONS,)

    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    requirements: Mapped[dict[str, Any]] = mapped_column(JSON)


class JobRow(Base):
    """One job of the embedded queue. While it runs, ``lease`` says whose result will be taken."""

    __tablename__ = "vmdirac_jobs"
    __table_args__ = (
        Index(None, "status", "task_queue_id", "priority"),
        Index(None, "instance_id", "status"),
        Index(None, "finished_at"),
        MARIADB_OPTIONS,
    )

    id: Mapped[Id]
    task_queue_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_task_queues.id"))
    name: Mapped[Name]
    status: Mapped[JobStatus] = mapped_column(Enumerated(JobStatus))
    priority: Mapped[float] = mapped_column(Double, default=0.0)
    command: Mapped[list[str]] = mapped_column(JSON)
    environment: Mapped[dict[str, str]] = mapped_column(JSON)
    output_files: Mapped[list[str]] = mapped_column(JSON)
    max_attempts: Mapped[int]
    attempts: Mapped[int] = mapped_column(default=0)
    submitted_at: Mapped[Time]
    started_at: Mapped[OptionalTime]
    finished_at: Mapped[OptionalTime]
    instance_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("vmdirac_instances.id"))
    lease: Mapped[str | None] = mapped_column(String(64), unique=True)
    lease_seconds: Mapped[float] = mapped_column(Double, default=0.0)
    lease_until: Mapped[OptionalTime]
    exit_code: Mapped[int | None]
    cpu_seconds: Mapped[float] = mapped_column(Double, default=0.0)
    message: Mapped[str] = mapped_column(LongText, default="")


class AttemptRow(Base):
    """One try at a job, kept for ever beside it: who had it, and how it ended.

    ``outcome``: done, failed, lost (its lease ran out), returned (the VM gave it back), cancelled; None while it runs.
    ``late_at``: when a result came after the job was no longer this attempt's; such a result changes nothing.
    """

    __tablename__ = "vmdirac_job_attempts"
    __table_args__ = (UniqueConstraint("job_id", "number"), Index(None, "instance_id"), MARIADB_OPTIONS)

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    instance_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_instances.id"))
    lease: Mapped[str] = mapped_column(String(64), unique=True)
    started_at: Mapped[Time]
    ended_at: Mapped[OptionalTime]
    outcome: Mapped[str | None] = mapped_column(String(32))
    exit_code: Mapped[int | None]
    message: Mapped[str] = mapped_column(LongText, default="")
    late_at: Mapped[OptionalTime]


class JobFileRow(Base):
    """A file that goes with a job: ``input`` with it to the VM, ``output`` and ``log`` back from it."""

    __tablename__ = "vmdirac_job_files"
    __table_args__ = (UniqueConstraint("job_id", "direction", "name"), MARIADB_OPTIONS)

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_jobs.id", ondelete="CASCADE"))
    direction: Mapped[str] = mapped_column(String(16))
    name: Mapped[Name]
    executable: Mapped[bool] = mapped_column(default=False)
    content: Mapped[bytes] = mapped_column(Content, deferred=True)
