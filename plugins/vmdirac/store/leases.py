"""Who runs which job, and until when: matching and renewing.

A job that runs has one lease. Only the VM that holds it may finish it, and only while it is still the job's: each
match makes a new lease, so a VM that comes back from the dead cannot overwrite what another one did meanwhile.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import JobStatus
from vmdirac.policy.matching import jobs_that_fit, matches
from vmdirac.store import queue
from vmdirac.store.changes import in_parts
from vmdirac.store.lease_usage import InUse, in_use
from vmdirac.store.tables import AttemptRow, InstanceRow, JobRow

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
