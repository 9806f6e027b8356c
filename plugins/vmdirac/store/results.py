"""How jobs end, as the VMs say that hold them. Only under the lease that is still the job's is that believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from vmdirac.model.output_target import OutputTarget
from vmdirac.model.states import JobStatus
from vmdirac.store import queue
from vmdirac.store.tables import AttemptRow, InstanceRow, JobFileRow, JobRow, JobUploadRow


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended, as its VM reports it.

    :param files: those that the job named.
    :param outputs: what else it left, in its output directory.
    :param uploaded: name and size of what of that went to ``target`` instead.
    """

    exit_code: int
    cpu_seconds: float
    message: str
    log: bytes
    files: tuple[queue.InputFile, ...]
    outputs: tuple[queue.InputFile, ...] = ()
    uploaded: tuple[tuple[str, int], ...] = ()
    target: OutputTarget | None = None


def finish(session: Session, instance_id: int, job_id: int, lease: str, result: Result, now: datetime) -> bool:
    """Take a result if the lease is still the job's; else note it as late. Whether it was taken.

    Asked again with the same lease, because the answer was lost, it is taken again without effect.
    """
    job = session.scalar(select(JobRow).where(JobRow.id == job_id).with_for_update())
    attempt = session.scalar(select(AttemptRow).where(AttemptRow.lease == lease, AttemptRow.instance_id == instance_id))
    if job is None or attempt is None or attempt.job_id != job_id:
        return False
    if job.lease != lease or job.instance_id != instance_id or job.status is not JobStatus.RUNNING:
        if attempt.outcome in {JobStatus.DONE.value, JobStatus.FAILED.value}:
            return True
        attempt.late_at = now
        return False
    kept = {file.name: file for file in result.files if file.name in job.output_files}
    missing = sorted(set(job.output_files) - kept.keys())
    good = result.exit_code == 0 and not missing
    messages = [result.message] if result.message else []
    if result.exit_code == 0 and missing:
        messages.append(f"it ended well but left no {', '.join(missing)}")
    job.status = JobStatus.DONE if good else JobStatus.FAILED
    job.exit_code, job.cpu_seconds = result.exit_code, result.cpu_seconds
    job.message = attempt.message = "; ".join(messages)
    job.finished_at = attempt.ended_at = now
    attempt.outcome, attempt.exit_code = job.status.value, result.exit_code
    job.lease = job.lease_until = None
    outputs = {file.name: file for file in result.outputs}
    _keep_files(session, job_id, {**outputs, **kept}.values(), result.log)
    _keep_uploads(session, job_id, attempt.number, result, now)
    return True


@dataclass(frozen=True, slots=True)
class Held:
    """A job that is a VM's: at which attempt it is, and where its outputs go; ``None``: they come here."""

    attempt: int
    target: OutputTarget | None


def held(session: Session, instance_id: int, job_id: int, lease: str) -> Held | None:
    """The job that this VM holds by this lease; ``None``: it is no longer its own."""
    query = (
        select(JobRow.attempts, InstanceRow.request)
        .join(InstanceRow, JobRow.instance_id == InstanceRow.id)
        .where(JobRow.id == job_id, JobRow.instance_id == instance_id)
        .where(JobRow.status == JobStatus.RUNNING, JobRow.lease == lease)
    )
    found = session.execute(query).one_or_none()
    return None if found is None else Held(found.attempts, OutputTarget.from_json(found.request.get("output")))


def _keep_uploads(session: Session, job_id: int, attempt: int, result: Result, now: datetime) -> None:
    session.execute(delete(JobUploadRow).where(JobUploadRow.job_id == job_id))
    if result.target is None:
        return
    for name, size in dict(result.uploaded).items():
        # Said by us, not by the VM: it can have put files nowhere else.
        location = result.target.location(job_id, attempt, name)
        session.add(JobUploadRow(job_id=job_id, name=name, location=location, size=size, at=now))


def _keep_files(session: Session, job_id: int, files: Iterable[queue.InputFile], log: bytes) -> None:
    # An earlier attempt that failed may have left some.
    session.execute(delete(JobFileRow).where(JobFileRow.job_id == job_id, JobFileRow.direction != "input"))
    queue.insert_files(session, "output", ((job_id, file) for file in files))
    queue.insert_files(session, "log", [(job_id, queue.InputFile("log", log))])
