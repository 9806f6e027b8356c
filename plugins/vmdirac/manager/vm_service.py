"""What the VM interface does with what a VM says: one function a message, each one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.manager.vm_messages import (
    FinishRequest,
    HaltingRequest,
    HeartbeatRequest,
    JobFile,
    MatchedJob,
    MatchRequest,
    VmAction,
)
from vmdirac.manager.vm_refusal import Refusal, RefusedError
from vmdirac.manager.vm_rows import calling, change_locked, lifetime_left, note_call
from vmdirac.model.output_target import OutputTarget
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.stop import was_our_decision
from vmdirac.policy.vm_answer import is_revoked, next_phase, should_halt
from vmdirac.store import instances, lease_usage, leases, lost_jobs, results
from vmdirac.store.queue import InputFile
from vmdirac.store.tables import InstanceRow, JobFileRow

AGAIN_AT_ONCE_SECONDS: Final = 1.0

JOBS_A_MATCH: Final = 8
"""Their files travel in one answer. A VM with more slots asks again at once."""


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """What the VM is told; ``renewable``: it may have a new token."""

    action: VmAction
    next_in: float
    lost_leases: Sequence[str]
    renewable: bool
    pod: str
    lifetime_left: float | None = None


def heartbeat(session: Session, instance_id: int, message: HeartbeatRequest, now: datetime) -> HeartbeatAnswer:
    """Hear a VM: its measurements, its leases, how far its drain is; and tell it what to do."""
    row = calling(session, instance_id)
    lost = leases.renew(session, row.id, [held.lease for held in message.jobs], now)
    jobs = len(message.jobs) + message.foreign_jobs
    # Idle is only a VM that has no lease by our books either: a job may be on its way to it.
    idle = not jobs and not message.busy_processors and not lease_usage.running_on(session, row.id)
    row.load, row.uptime = message.load, message.uptime
    row.jobs, row.busy_processors = jobs, min(message.busy_processors, row.processors)
    row.transferred_files, row.transferred_bytes = message.transferred_files, message.transferred_bytes
    note_call(session, row, now, "it called in again")
    _note_idleness(row, now, idle=idle)
    if message.leaving and row.status is InstanceStatus.RUNNING:
        _drain_by_its_own_wish(session, row, message.leaving, now)
    if row.status is InstanceStatus.STOPPING:
        phase = next_phase(row.drain_phase, draining=message.draining, jobs=0 if idle else max(1, jobs))
        if phase is not row.drain_phase:
            session.flush()
            change_locked(session, row, now, f"the drain is {phase}", drain_phase=phase, phase_since=now)
    return HeartbeatAnswer(
        _action(row), row.heartbeat_period, lost, not revoked(row), row.pod, lifetime_left=lifetime_left(row, now)
    )


def _drain_by_its_own_wish(session: Session, row: InstanceRow, wish: str, now: datetime) -> None:
    """The VM takes no more jobs whatever we say: so nothing may be planned for it."""
    session.flush()
    change_locked(
        session,
        row,
        now,
        f"it leaves: {wish}",
        to=InstanceStatus.STOPPING,
        drain_phase=DrainPhase.ASKED,
        phase_since=now,
        stop_reason=StopReason.VM_REPORTED,
    )


def _note_idleness(row: InstanceRow, now: datetime, *, idle: bool) -> None:
    """Since when the VM is idle. A change of it is one that decisions are made from, so it counts as a new version."""
    since = (row.idle_since or now) if idle else None
    if since != row.idle_since:
        row.idle_since = since
        row.version += 1
        row.changed_at = now


def _action(row: InstanceRow) -> VmAction:
    if should_halt(row.status, row.drain_phase, forced=row.forced) or revoked(row):
        return VmAction.HALT
    return VmAction.DRAIN if row.status is InstanceStatus.STOPPING else VmAction.WORK


def revoked(row: InstanceRow) -> bool:
    """See :func:`vmdirac.policy.vm_answer.is_revoked`."""
    return is_revoked(row.status, row.drain_phase, said_halting=row.halting_at is not None)


def renewal(session: Session, instance_id: int) -> HeartbeatAnswer:
    """The answer to a VM whose token expired while it could not reach us: a new one, and nothing else is done."""
    row = calling(session, instance_id)
    if revoked(row):
        raise RefusedError(Refusal.GONE)
    return HeartbeatAnswer(_action(row), AGAIN_AT_ONCE_SECONDS, [], renewable=True, pod=row.pod)


def entitled(session: Session, instance_id: int) -> str:
    """The pod whose credentials this VM may have; one that drains may while it has jobs, or is to work again."""
    row = calling(session, instance_id)
    if _action(row) is VmAction.HALT:
        raise RefusedError(Refusal.GONE)
    return row.pod


def match(
    session: Session, instance_id: int, message: MatchRequest, now: datetime
) -> tuple[VmAction, list[MatchedJob]]:
    """Hand jobs to a VM that works; one that drains gets none."""
    row = calling(session, instance_id)
    action = _action(row)
    if row.status is not InstanceStatus.RUNNING:
        return action, []
    count = min(message.count, JOBS_A_MATCH)
    leased = leases.match(session, row, message.processors, message.memory_mb, count, now)
    if leased:
        # A job taken wins over an idle check that is under way: the version it compared is gone.
        _note_idleness(row, now, idle=False)
    return action, [_matched(session, item, row.processors) for item in leased]


def _matched(session: Session, item: leases.Leased, vm_processors: int) -> MatchedJob:
    job, needs = item.job, item.requirements
    files = session.execute(
        select(JobFileRow.name, JobFileRow.content, JobFileRow.executable)
        .where(JobFileRow.job_id == job.id, JobFileRow.direction == "input")
        .order_by(JobFileRow.id)
    )
    return MatchedJob(
        job=job.id,
        lease=job.lease or "",
        attempt=job.attempts,
        name=job.name,
        command=job.command,
        environment=job.environment,
        processors=needs.processors_of(vm_processors),
        memory_mb=needs.memory_mb,
        cpu_time=needs.cpu_time,
        # Built without validation: the contents are bytes already, not base64 to be decoded.
        files=[JobFile.model_construct(name=n, content=c, executable=x) for n, c, x in files],
        output_files=job.output_files,
    )


def finish(session: Session, instance_id: int, job_id: int, message: FinishRequest, now: datetime) -> bool:
    """Take a job's result, if it is still this VM's job."""
    row = instances.locked(session, instance_id)
    if row is None:
        raise RefusedError(Refusal.NOT_THERE)
    result = results.Result(
        exit_code=message.exit_code,
        cpu_seconds=message.cpu_seconds,
        message=message.message,
        log=message.log,
        files=tuple(InputFile(file.name, file.content, file.executable) for file in message.files),
        outputs=tuple(InputFile(file.name, file.content, file.executable) for file in message.outputs),
        uploaded=tuple((file.name, file.size) for file in message.uploaded),
        target=OutputTarget.from_json(row.request.get("output")),
    )
    return results.finish(session, row.id, job_id, message.lease, result, now)


def halting(session: Session, instance_id: int, message: HaltingRequest, now: datetime) -> None:
    """The VM says that it ends: its jobs go back to the queue, and it is to be deleted."""
    row = calling(session, instance_id)
    if row.status is InstanceStatus.STOPPING and row.halting_at is not None:
        # Said before: its answer was lost.
        return
    decided = [row.id] if was_our_decision(row.stop_reason, forced=row.forced) else []
    lost_jobs.release(session, [row.id], "returned", now, decided)
    row.heard_at, row.load, row.uptime, row.jobs = now, message.load, message.uptime, 0
    session.flush()
    said = f"{message.code or ''} {message.reason}".strip()
    reason = f"it halts: {said}" if said else "it halts"
    if row.status is InstanceStatus.STOPPING:
        phase = row.drain_phase if row.drain_phase is DrainPhase.DELETING else DrainPhase.EMPTY
        change_locked(session, row, now, reason, drain_phase=phase, phase_since=now, halting_at=now)
        return
    if row.status is InstanceStatus.NEW:
        # Its launch is not recorded yet; the next list finds it, running or not.
        return
    change_locked(
        session,
        row,
        now,
        reason,
        to=InstanceStatus.STOPPING,
        drain_phase=DrainPhase.EMPTY,
        phase_since=now,
        halting_at=now,
        stop_reason=StopReason.VM_REPORTED,
    )
