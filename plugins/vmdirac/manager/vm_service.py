"""What the VM interface does with what a VM says: one function a message, each one transaction."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.contextualization.bootstrap_secret import fingerprint, is_secret
from vmdirac.manager.vm_messages import (
    FinishRequest,
    HaltingRequest,
    HeartbeatRequest,
    JobFile,
    MatchedJob,
    MatchRequest,
    RegisterRequest,
    VmAction,
)
from vmdirac.model.alert import AlertKind
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.first_call import first_call_until
from vmdirac.policy.vm_answer import is_revoked, next_phase, should_halt
from vmdirac.store import alerts, boots, installation, instances, lease_usage, leases
from vmdirac.store.changes import write_history
from vmdirac.store.queue import InputFile
from vmdirac.store.tables import InstanceRow, JobFileRow

REPLAY_WINDOW: Final = timedelta(minutes=10)
"""For so long the same secret with the same nonce gets its answer again: a lost answer kills no VM. Lost in an
outage of ours, it may be asked for again for so long after that."""

AGAIN_AT_ONCE_SECONDS: Final = 1.0

JOBS_A_MATCH: Final = 8
"""Their files travel in one answer. A VM with more slots asks again at once."""

OVER = frozenset({InstanceStatus.HALTED, InstanceStatus.ERROR})
REVIVABLE = frozenset({InstanceStatus.SUBMITTED, InstanceStatus.CONTEXTUALIZING, InstanceStatus.STALLED})


class Refusal(StrEnum):
    """Why a VM's call is not served."""

    WRONG_SECRET = "the secret is not this instance's"  # noqa: S105
    OTHER_NONCE = "this instance has registered already"
    REPEATED_TOO_LATE = "this instance has registered already, and that is long ago"
    BOOTED_TOO_LATE = "the boot deadline of this instance is over"
    TOO_EARLY = "the launch is not recorded yet"
    GONE = "this instance is over"
    NOT_THERE = "this instance is not known: try again later"


class RefusedError(Exception):
    """The VM's call is not served."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Registered:
    """What a VM that has registered needs to know about itself."""

    heartbeat_period: float
    processors: int
    memory_mb: int
    cpu_time: int
    load_average_timespan: float
    launch_token: str
    pod: str


def register(
    session: Session,
    instance_id: int,
    secret: str,
    message: RegisterRequest,
    now: datetime,
    deadlines: Callable[[Instance], Deadlines | None],
) -> Registered | Refusal:
    """Exchange the bootstrap secret, once. Exactly one nonce wins; the same one may ask again for a while.

    A refusal is returned and not raised, because one of them is also a fact to be committed: the instance is
    suspicious.

    :param deadlines: those that hold for an instance; ``None``: they are not known now, and then none is over.
    """
    row = instances.locked(session, instance_id)
    # The same work and the same answer whether the id or the secret is wrong: nothing can be learned from it.
    if not is_secret(secret, row.bootstrap_hash if row is not None else fingerprint("")) or row is None:
        return Refusal.WRONG_SECRET
    if row.status in OVER or row.status is InstanceStatus.STOPPING:
        return Refusal.GONE
    if row.status is InstanceStatus.NEW:
        return Refusal.TOO_EARLY
    nonce = fingerprint(message.nonce)
    if row.nonce_hash is None:
        if _is_too_late(session, row, deadlines, now):
            return Refusal.BOOTED_TOO_LATE
        row.nonce_hash, row.registered_at = nonce, now
        row.private_ip = message.private_ip or row.private_ip
        row.reported_ip = message.private_ip
        row.hostname, row.agent_version = message.hostname, message.agent_version
        _heard(session, row, now, "it called in")
        boots.note_success(session, row, now)
    elif not hmac.compare_digest(row.nonce_hash, nonce):
        _suspect(session, row, now)
        return Refusal.OTHER_NONCE
    elif now > _repeated_until(session, row, now):
        return Refusal.REPEATED_TOO_LATE
    return Registered(
        row.heartbeat_period,
        row.processors,
        row.memory_mb,
        int(row.offer["cpu_time"]),
        float(row.request.get("load_average_timespan", 60)),
        row.launch_token,
        row.pod,
    )


def _is_too_late(
    session: Session, row: InstanceRow, deadlines: Callable[[Instance], Deadlines | None], now: datetime
) -> bool:
    hearing, instance = installation.hearing_since(session, now), instances.get(session, row.id)
    if hearing is None or instance is None:
        # We have only just begun to serve VMs again: whatever is over, was over without them.
        return False
    known = deadlines(instance)
    return known is not None and now > first_call_until(instance, known, hearing)


def _repeated_until(session: Session, row: InstanceRow, now: datetime) -> datetime:
    since = row.registered_at or row.created_at
    if row.heard_at is None or row.heard_at <= since:
        # It has not used its token yet, so it may have been an outage of ours that took the answer away.
        since = max(since, installation.hearing_since(session, now) or now)
    return since + REPLAY_WINDOW


def _suspect(session: Session, row: InstanceRow, now: datetime) -> None:
    """Two know the secret. Which of them is the VM cannot be told from here: a person has to look."""
    what = "somebody else came with its bootstrap secret after it had registered"
    if not row.suspicious:
        row.suspicious = True
        session.flush()
        write_history(session, {row.id: what}, now)
    where = f"VM {row.cloud_id} of pod {row.pod} on {row.endpoint}"
    message = f"{what} ({where}): who can read its user data? The first one goes on; stop it if you doubt it"
    alerts.raise_alert(session, AlertKind.SUSPICIOUS, f"instance {row.id}", message, now)


def _row(session: Session, instance_id: int) -> InstanceRow:
    row = instances.locked(session, instance_id)
    if row is None:
        raise RefusedError(Refusal.NOT_THERE)
    if row.status in OVER:
        raise RefusedError(Refusal.GONE)
    return row


def _heard(session: Session, row: InstanceRow, now: datetime, reason: str) -> None:
    """The VM lives: note when, and bring it to Running from wherever a call may bring it there."""
    row.heard_at = now
    session.flush()
    if row.status in REVIVABLE:
        _change(session, row, now, reason, to=InstanceStatus.RUNNING)


def _change(session: Session, row: InstanceRow, now: datetime, reason: str, **values: object) -> None:
    """A change of a row that this transaction has locked: it cannot be refused."""
    instance = instances.get(session, row.id)
    if instance is None or not instances.change(session, instance, now, reason, **values):  # type: ignore[arg-type]
        raise RuntimeError(f"instance {row.id} changed under its lock")
    session.refresh(row)


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """What the VM is told; ``renewable``: it may have a new token."""

    action: VmAction
    next_in: float
    lost_leases: Sequence[str]
    renewable: bool


def heartbeat(session: Session, instance_id: int, message: HeartbeatRequest, now: datetime) -> HeartbeatAnswer:
    """Hear a VM: its measurements, its leases, how far its drain is; and tell it what to do."""
    row = _row(session, instance_id)
    lost = leases.renew(session, row.id, [held.lease for held in message.jobs], now)
    jobs = len(message.jobs)
    # Idle is only a VM that has no lease by our books either: a job may be on its way to it.
    idle = not jobs and not message.busy_processors and not lease_usage.running_on(session, row.id)
    row.load, row.uptime = message.load, message.uptime
    row.jobs, row.busy_processors = jobs, min(message.busy_processors, row.processors)
    row.transferred_files, row.transferred_bytes = message.transferred_files, message.transferred_bytes
    _heard(session, row, now, "it called in again")
    _note_idleness(row, now, idle=idle)
    if row.status is InstanceStatus.STOPPING:
        phase = next_phase(row.drain_phase, draining=message.draining, jobs=0 if idle else max(1, jobs))
        if phase is not row.drain_phase:
            session.flush()
            _change(session, row, now, f"the drain is {phase}", drain_phase=phase, phase_since=now)
    return HeartbeatAnswer(_action(row), row.heartbeat_period, lost, renewable=not revoked(row))


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
    row = _row(session, instance_id)
    if revoked(row):
        raise RefusedError(Refusal.GONE)
    return HeartbeatAnswer(_action(row), AGAIN_AT_ONCE_SECONDS, [], renewable=True)


def entitled(session: Session, instance_id: int) -> str:
    """The pod whose credentials this VM may have; one that drains may while it has jobs, or is to work again."""
    row = _row(session, instance_id)
    if _action(row) is VmAction.HALT:
        raise RefusedError(Refusal.GONE)
    return row.pod


def match(
    session: Session, instance_id: int, message: MatchRequest, now: datetime
) -> tuple[VmAction, list[MatchedJob]]:
    """Hand jobs to a VM that works; one that drains gets none."""
    row = _row(session, instance_id)
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
    result = leases.Result(
        exit_code=message.exit_code,
        cpu_seconds=message.cpu_seconds,
        message=message.message,
        log=message.log,
        files=tuple(InputFile(file.name, file.content, file.executable) for file in message.files),
    )
    return leases.finish(session, row.id, job_id, message.lease, result, now)


def halting(session: Session, instance_id: int, message: HaltingRequest, now: datetime) -> None:
    """The VM says that it ends: its jobs go back to the queue, and it is to be deleted."""
    row = _row(session, instance_id)
    if row.status is InstanceStatus.STOPPING and row.halting_at is not None:
        # Said before: its answer was lost.
        return
    leases.release(session, [row.id], "returned", now)
    row.heard_at, row.load, row.uptime, row.jobs = now, message.load, message.uptime, 0
    session.flush()
    reason = f"it halts: {message.reason}" if message.reason else "it halts"
    if row.status is InstanceStatus.STOPPING:
        phase = row.drain_phase if row.drain_phase is DrainPhase.DELETING else DrainPhase.EMPTY
        _change(session, row, now, reason, drain_phase=phase, phase_since=now, halting_at=now)
        return
    if row.status is InstanceStatus.NEW:
        # Its launch is not recorded yet; the next list finds it, running or not.
        return
    _change(
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
