"""Jobs that are taken back from VMs: they wait again, or have failed if they were begun too often."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vmdirac.model.states import JobStatus
from vmdirac.store.changes import in_parts
from vmdirac.store.tables import AttemptRow, JobRow

_HELD = (JobRow.id, JobRow.lease, JobRow.attempts, JobRow.max_attempts, JobRow.instance_id)
"""What has to be known of jobs that are taken back."""


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
        # Looked for first, and then locked by their ids: MariaDB locks every row that it has to sort, and so the whole
        # queue would look taken to everybody else.
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
