"""What a VM may have for its bootstrap secret: a registration, once, and before that the rest of its user data."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.contextualization.bootstrap_secret import fingerprint, is_secret
from vmdirac.manager.vm_messages import RegisterRequest
from vmdirac.manager.vm_refusal import Refusal
from vmdirac.manager.vm_rows import OVER, lifetime_left, note_call
from vmdirac.model.agent_rules import AgentRules
from vmdirac.model.alert import AlertKind
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.first_call import first_call_until
from vmdirac.store import alerts, boots, installation, instances
from vmdirac.store.changes import write_history
from vmdirac.store.instances import REST_OF_USER_DATA
from vmdirac.store.tables import InstanceRow

REPLAY_WINDOW: Final = timedelta(minutes=10)
"""For so long the same secret with the same nonce gets its answer again: a lost answer kills no VM. Lost in an
outage of ours, it may be asked for again for so long after that."""

ENDING: Final = OVER | {InstanceStatus.STOPPING}
"""Who has not registered by then is not to any more."""

KnownDeadlines = Callable[[Instance], Deadlines | None]
"""Those that hold for an instance; ``None``: they are not known now, and then none is over."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What a VM that has registered needs to know about itself."""

    heartbeat_period: float
    processors: int
    memory_mb: int
    cpu_time: int
    load_average_timespan: float
    lifetime_left: float | None
    agent_rules: AgentRules
    outputs_elsewhere: bool
    launch_token: str
    pod: str


def register(
    session: Session,
    instance_id: int,
    secret: str,
    message: RegisterRequest,
    now: datetime,
    deadlines: KnownDeadlines,
) -> Registered | Refusal:
    """Exchange the bootstrap secret, once. Exactly one nonce wins; the same one may ask again for a while.

    A refusal is returned and not raised, because one of them is also a fact to be committed: the instance is
    suspicious.
    """
    row = instances.locked(session, instance_id)
    # The same work and the same answer whether the id or the secret is wrong: nothing can be learned from it.
    if not is_secret(secret, row.bootstrap_hash if row is not None else fingerprint("")) or row is None:
        return Refusal.WRONG_SECRET
    if row.status in ENDING:
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
        note_call(session, row, now, "it called in")
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
        lifetime_left(row, now),
        AgentRules.from_json(row.request.get("agent", {})),
        bool(row.request.get("output")),
        row.launch_token,
        row.pod,
    )


def rest_of_user_data(
    session: Session, instance_id: int, secret: str, now: datetime, deadlines: KnownDeadlines
) -> str | Refusal:
    """What of its user data the VM fetches itself, as it was frozen with the launch: as long as the secret is good for
    a registration, which this does not use up. VMs may be here before the launch is recorded."""
    row = session.get(InstanceRow, instance_id)
    # The same work and the same answer whether the id or the secret is wrong: nothing can be learned from it.
    if not is_secret(secret, row.bootstrap_hash if row is not None else fingerprint("")) or row is None:
        return Refusal.WRONG_SECRET
    if row.status in ENDING:
        return Refusal.GONE
    if row.nonce_hash is not None:
        return Refusal.OTHER_NONCE
    if _is_too_late(session, row, deadlines, now):
        return Refusal.BOOTED_TOO_LATE
    return str(row.request.get(REST_OF_USER_DATA, ""))


def _is_too_late(session: Session, row: InstanceRow, deadlines: KnownDeadlines, now: datetime) -> bool:
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
