"""Why a job waits, or what became of it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from vmdirac.explain.phrases import listed, place, reasons, when
from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.policy.matching import jobs_that_fit, matches, mismatch
from vmdirac.policy.mismatch_sentences import sentence
from vmdirac.store import instances, lease_usage, ticks
from vmdirac.store.tables import AttemptRow, DecisionRow, JobRow, TaskQueueRow, TickRow


def explain_job(session: Session, job_id: int, now: datetime) -> list[str] | None:
    """For a job that waits: who would serve it, and what keeps them from it; for others: where it is, how it ended.
    ``None``: there is no such job."""
    job = session.get(JobRow, job_id)
    if job is None:
        return None
    lines = [_head(job, now)]
    if job.message:
        lines.append(f"  {job.message}")
    if job.status is JobStatus.WAITING:
        needs = Requirements.from_json(session.get_one(TaskQueueRow, job.task_queue_id).requirements)
        lines += _why_it_waits(session, job, needs, now)
    return lines + _attempts(session, job_id, now)


def _head(job: JobRow, now: datetime) -> str:
    title = f"job {job.id} ({job.name})"
    match job.status:
        case JobStatus.WAITING:
            return f"{title} waits since {when(job.submitted_at, now)}, priority {job.priority:g}"
        case JobStatus.RUNNING:
            since = when(job.started_at or job.submitted_at, now)
            return f"{title} runs on instance {job.instance_id} since {since}"
        case _:
            return f"{title} is {job.status} since {when(job.finished_at or job.submitted_at, now)}"


def _why_it_waits(session: Session, job: JobRow, needs: Requirements, now: datetime) -> list[str]:
    last = ticks.last_planned(session)
    if last is None:
        return ["no tick has planned anything yet: does the DAG vmdirac_scheduler run?"]
    lines = _ahead(session, job)
    if last.began_at <= job.submitted_at:
        lines.append("it was submitted after the last tick began: the next one will see it")
    return lines + _vms(session, needs, now) + _decisions(session, last, needs, now)


def _ahead(session: Session, job: JobRow) -> list[str]:
    query = (
        select(func.count())
        .select_from(JobRow)
        .where(
            JobRow.status == JobStatus.WAITING,
            JobRow.task_queue_id == job.task_queue_id,
            or_(JobRow.priority > job.priority, (JobRow.priority == job.priority) & (JobRow.id < job.id)),
        )
    )
    ahead = session.scalars(query).one()
    return [f"{ahead} jobs that need the same are before it" if ahead else "it is the next of those that need the same"]


def _vms(session: Session, needs: Requirements, now: datetime) -> list[str]:
    """VMs that are there and could serve it."""
    able: dict[str, list[Instance]] = defaultdict(list)
    for item in lease_usage.less_what_is_leased(session, instances.unfinished(session)):
        if matches(needs, item.offer):
            able[item.status.value].append(item)
    if not able:
        return ["no VM that is there could serve it"]
    lines = []
    for status, found in sorted(able.items()):
        free = [item for item in found if _has_room(item, needs, now)]
        ids = listed(item.id for item in found)
        lines.append(f"VMs that could serve it, {status}: {ids} ({len(free)} of them with room for it)")
    if running := able.get(InstanceStatus.RUNNING.value):
        soon = max(item.heartbeat_period for item in running)
        lines.append(f"a Running VM with room asks for jobs within {soon:g} s")
    return lines


def _has_room(item: Instance, needs: Requirements, now: datetime) -> bool:
    left = item.seconds_left(now)
    if left is not None and needs.shortest_run(item.processors) > left:
        return False
    return jobs_that_fit(needs, item.free_processors, item.free_memory_mb, item.processors) > 0


def _decisions(session: Session, last: TickRow, needs: Requirements, now: datetime) -> list[str]:
    """What the last tick decided for those who would serve it, and why the others would not."""
    rows = ticks.decisions(session, last.id)
    offers = ticks.offers(session, rows)
    serving: list[DecisionRow] = []
    others: list[str] = []
    for row in rows:
        offer = offers.get(row.offer_id) if row.offer_id is not None else None
        broken = mismatch(needs, offer) if offer is not None else None
        if offer is None:
            others.append(f"  {place(row)}: {reasons(row)}")
        elif broken is None:
            serving.append(row)
        else:
            others.append(f"  {place(row)}: {sentence(broken, needs, offer)}")
    lines = [f"the last tick is {last.id}, {when(last.planned_at or last.began_at, now)}"]
    if serving:
        lines.append("who would serve it, and what was decided there:")
        lines += [f"  {place(row)}: {row.planned} to start: {reasons(row)}" for row in serving]
    else:
        lines.append("no pod serves this job:")
    if others and serving:
        lines.append("who would not:")
    return lines + others


def _attempts(session: Session, job_id: int, now: datetime) -> list[str]:
    rows = session.scalars(select(AttemptRow).where(AttemptRow.job_id == job_id).order_by(AttemptRow.number)).all()
    return [
        f"attempt {row.number}: on instance {row.instance_id} since {when(row.started_at, now)}"
        + (f", {row.outcome} {when(row.ended_at, now)}" if row.ended_at is not None else "")
        + (f": {row.message}" if row.message else "")
        for row in rows
    ]
