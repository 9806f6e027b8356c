"""Who runs which job, and until when: matching, renewing, finishing, losing.

A job that runs has one lease. Only the VM that holds it may finish it, and only while it is still the job's: each
match makes a new lease, so a VM that comes back from the dead cannot overwrite what another one did meanwhile.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from vmdirac.model.output_target import OutputTarget
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import JobStatus
from vmdirac.policy.matching import jobs_that_fit, matches
from vmdirac.store import queue
from vmdirac.store.changes import in_parts
from vmdirac.store.lease_usage import InUse, in_use
from vmdirac.store.tables import AttemptRow, InstanceRow, JobFileRow, JobRow, JobUploadRow

LEASE_PERIODS = 3
"""A lease lasts so many heartbeat periods."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A job that was handed out."""

    job: JobRow
    requirements: Requirements


def match(
    session: Session,
    instance: InstanceRow,
    processors: int,
    memory_mb: int,
    count: int,
    now: datetime,
) -> list[Leased]:
    """Hand out waiting jobs to a VM whose row the caller has locked: urgent ones first, then the oldest.

    What the VM says is free is believed only as far as its own leases leave room.
    """
    used = in_use(session, instance.id).get(instance.id, InUse())
    free = min(processors, instance.processors - used.processors)
    bounds = [memory_mb] if memory_mb else []
    if instance.memory_mb:
        bounds.append(max(0, instance.memory_mb - used.memory_mb))
    memory = min(bounds, default=None)
    offer, size = Offer.from_json(instance.offer), instance.processors
    left = _seconds_left(instance, offer, now)
    needs = {
        item.task_queue_id: item.requirements
        for item in queue.waiting(session)
        if matches(item.requirements, offer) and (left is None or item.requirements.shortest_run(size) <= left)
    }
    leased: list[Leased] = []
    while len(leased) < count:
        fitting = {id_: fit for id_, item in needs.items() if (fit := jobs_that_fit(item, free, memory, size))}
        # So many fit whichever of these queues they come from.
        jobs = _take(session, fitting, min(count - len(leased), *fitting.values())) if fitting else []
        if not jobs:
            break
        for job in jobs:
            _lease(session, job, instance, now)
            requirements = needs[job.task_queue_id]
            leased.append(Leased(job, requirements))
            free -= requirements.processors_of(size)
            if memory is not None:
                memory -= requirements.memory_mb
    return leased


def _seconds_left(instance: InstanceRow, offer: Offer, now: datetime) -> float | None:
    """How long the VM may still work; ``None``: it has no end. It is given no job that cannot end by then."""
    if not offer.max_lifetime:
        return None
    launched = instance.last_launch_at or instance.created_at
    return offer.max_lifetime - (now - launched).total_seconds()


def _take(session: Session, task_queue_ids: Collection[int], limit: int) -> Sequence[JobRow]:
    """The first waiting jobs of these queues that nobody else is taking at this moment, locked.

    Looked for without locks, and then locked by their ids: MariaDB locks every row that it has to sort, and so the
    whole queue would look taken to everybody else.
    """
    taken: list[JobRow] = []
    looked_at: set[int] = set()
    while len(taken) < limit:
        search = (
            select(JobRow.id)
            .where(
                JobRow.status == JobStatus.WAITING,
                JobRow.task_queue_id.in_(task_queue_ids),
                JobRow.id.not_in(looked_at),
            )
            .order_by(JobRow.priority.desc(), JobRow.id)
            .limit(limit - len(taken))
        )
        found = session.scalars(search).all()
        if not found:
            break
        looked_at.update(found)
        lock = select(JobRow).where(JobRow.id.in_(found)).with_for_update(skip_locked=True)
        locked = {job.id: job for job in session.scalars(lock) if job.status is JobStatus.WAITING}
        taken.extend(locked[id_] for id_ in found if id_ in locked)
    return taken


def _lease(session: Session, job: JobRow, instance: InstanceRow, now: datetime) -> None:
    job.status = JobStatus.RUNNING
    job.attempts += 1
    job.started_at = now
    job.instance_id = instance.id
    job.lease = uuid.uuid4().hex
    job.lease_seconds = LEASE_PERIODS * instance.heartbeat_period
    job.lease_until = now + timedelta(seconds=job.lease_seconds)
    session.add(
        AttemptRow(
            job_id=job.id,
            number=job.attempts,
            instance_id=instance.id,
            lease=job.lease,
            started_at=now,
        )
    )


def renew(session: Session, instance_id: int, held: Collection[str], now: datetime) -> list[str]:
    """Extend the leases that the VM says it holds; those that are no longer its own come back."""
    if not held:
        return []
    # Locked, or a lease that another VM gets meanwhile would be given this one's end.
    query = (
        select(JobRow.id, JobRow.lease, JobRow.lease_seconds)
        .where(JobRow.instance_id == instance_id, JobRow.status == JobStatus.RUNNING, JobRow.lease.in_(held))
        .order_by(JobRow.id)
        .with_for_update()
    )
    mine = session.execute(query).all()
    if mine:
        session.execute(
            update(JobRow),
            [{"id": row.id, "lease_until": now + timedelta(seconds=row.lease_seconds)} for row in mine],
        )
    return sorted(set(held) - {row.lease for row in mine})


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


def extend(session: Session, instance_ids: Sequence[int], now: datetime) -> None:
    """Give all jobs of these VMs a whole lease from now on, as if they had called."""
    alike: dict[float, list[int]] = defaultdict(list)
    for part in in_parts(sorted(instance_ids)):
        query = (
            select(JobRow.id, JobRow.lease_seconds)
            .where(JobRow.instance_id.in_(part), JobRow.status == JobStatus.RUNNING)
            .with_for_update(skip_locked=True)
        )
        for row in session.execute(query):
            alike[row.lease_seconds].append(row.id)
    for seconds, ids in alike.items():
        for part in in_parts(ids):
            longer = update(JobRow).where(JobRow.id.in_(part))
            session.execute(longer.values(lease_until=now + timedelta(seconds=seconds)))


def expire(
    session: Session,
    hearing_since: datetime | None,
    now: datetime,
    spared: Collection[int] = frozenset(),
    decided: Collection[int] = frozenset(),
) -> int:
    """Take back the jobs whose leases ran out, unless their VMs could not have renewed them; how many.

    :param hearing_since: since when VMs can reach the manager. An outage of ours uses up no lease.
    :param spared: VMs whose jobs are not taken back yet; ``decided``: those that end because we decided so.
    """
    if hearing_since is None:
        return 0
    query = (
        select(*_HELD, JobRow.lease_seconds)
        .where(JobRow.status == JobStatus.RUNNING, JobRow.lease_until < now)
        .with_for_update(skip_locked=True)
    )
    found = session.execute(query).all()
    lost = [
        job
        for job in found
        if hearing_since + timedelta(seconds=job.lease_seconds) < now and job.instance_id not in spared
    ]
    _take_back(session, lost, "lost", now, decided)
    return len(lost)


def release(
    session: Session, instance_ids: Sequence[int], outcome: str, now: datetime, decided: Collection[int] = frozenset()
) -> int:
    """Take back all jobs of VMs that end or are gone, whose rows the caller has locked; how many.

    :param decided: VMs that end because we decided so.
    """
    taken = 0
    for part in in_parts(sorted(instance_ids)):
        # Looked for first, and then locked by their ids: see _take.
        search = select(JobRow.id).where(JobRow.instance_id.in_(part), JobRow.status == JobStatus.RUNNING)
        found = sorted(session.scalars(search))
        lock = (
            select(*_HELD)
            .where(JobRow.id.in_(found), JobRow.instance_id.in_(part), JobRow.status == JobStatus.RUNNING)
            .order_by(JobRow.id)
            .with_for_update()
        )
        jobs = session.execute(lock).all() if found else []
        _take_back(session, jobs, outcome, now, decided)
        taken += len(jobs)
    return taken


_HELD = (JobRow.id, JobRow.lease, JobRow.attempts, JobRow.max_attempts, JobRow.instance_id)
"""What has to be known of jobs that are taken back."""


def _take_back(
    session: Session, jobs: Sequence[Any], outcome: str, now: datetime, decided: Collection[int] = frozenset()
) -> None:
    """Take back jobs whose rows are locked: they wait again, or have failed if they were begun too often. Those of VMs
    that ended because we decided so may be begun once more than before."""
    ours = [job.id for job in jobs if job.instance_id in decided]
    for part in in_parts(ours):
        once_more = update(JobRow).where(JobRow.id.in_(part))
        session.execute(once_more.values(max_attempts=JobRow.max_attempts + 1))
    jobs_ours = frozenset(ours)
    alike: dict[tuple[int, int] | None, list[Any]] = defaultdict(list)
    for job in jobs:
        alike[
            None if job.attempts < job.max_attempts or job.id in jobs_ours else (job.attempts, job.max_attempts)
        ].append(job)
    for used_up, group in alike.items():
        values: dict[str, Any] = {"status": JobStatus.WAITING, "instance_id": None, "started_at": None}
        if used_up is not None:
            message = f"its VM was lost {used_up[0]} times; it may be begun {used_up[1]} times"
            values = {"status": JobStatus.FAILED, "finished_at": now, "message": message}
        for part in in_parts(group):
            ids, leases = [job.id for job in part], [job.lease for job in part]
            ended = update(AttemptRow).where(AttemptRow.lease.in_(leases))
            session.execute(ended.values(ended_at=now, outcome=outcome))
            taken = update(JobRow).where(JobRow.id.in_(ids))
            session.execute(taken.values(lease=None, lease_until=None, **values))
