"""Why a VM was started, and why it was stopped."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.explain.phrases import reasons, when
from vmdirac.explain.ssh import explain_ssh
from vmdirac.model.one_off import Requester
from vmdirac.model.states import InstanceStatus
from vmdirac.store import handouts, instances, refusals, ssh_contexts
from vmdirac.store.tables import CredentialHandoutRow, DecisionRow, HistoryRow, InstanceRow

ENDING = frozenset({InstanceStatus.STOPPING, InstanceStatus.STALLED, InstanceStatus.HALTED, InstanceStatus.ERROR})


def explain_instance(session: Session, instance_id: int, now: datetime) -> list[str] | None:
    """Why it was started, why it was stopped, and all that happened to it; ``None``: there is no such instance."""
    row = session.get(InstanceRow, instance_id)
    if row is None:
        return None
    history = instances.history(session, instance_id)
    vm = f", VM {row.cloud_id}" if row.cloud_id else ""
    whose = f"pod {row.pod}" if row.requester is None else str(Requester(**row.requester))
    lines = [f"instance {row.id} ({whose} on {row.endpoint}{vm}) is {row.status} since {when(row.status_since, now)}"]
    if history:
        lines.append(f"started: {history[0].reason}")
    lines += _decision(session, row)
    # The first line of its last ending: a VM that was revived, or whose stop was taken back, is not ending.
    last = next((number for number, item in reversed(list(enumerate(history))) if item.status not in ENDING), -1)
    ending = history[last + 1] if last + 1 < len(history) else None
    if ending is not None:
        why = f" ({row.stop_reason})" if row.stop_reason is not None else ""
        lines.append(f"stopped: {ending.reason}{why}")
    if row.suspicious:
        lines.append("suspicious: somebody has pretended to be its VM; the history says how")
    lines += [
        f"refused: {item.calls} calls, {item.reason.replace('_', ' ')}, the last {when(item.last_at, now)}"
        for item in refusals.of_instance(session, instance_id)
    ]
    lines += [
        f"was given credential {item.name}, version {item.version[:8]}, {when(item.first_at, now)}{_until(item, now)}"
        for item in handouts.of_instance(session, instance_id)
    ]
    if row.error_message:
        kind = f"{row.error_kind}: " if row.error_kind is not None else ""
        lines.append(f"last error: {kind}{row.error_message}")
    context = ssh_contexts.get(session, instance_id)
    lines += explain_ssh(context, now) if context is not None else []
    return [*lines, "history:", *(_line(item, now) for item in history)]


def _decision(session: Session, row: InstanceRow) -> list[str]:
    query = select(DecisionRow).where(
        DecisionRow.tick_id == row.tick_id, DecisionRow.pod == row.pod, DecisionRow.endpoint == row.endpoint
    )
    found = session.scalar(query)
    if found is None:
        return []
    saw = f"tick {found.tick_id} saw {found.jobs} matching jobs and {found.active} active VMs there"
    return [f"{saw}, and started {found.planned}: {reasons(found)}"]


def _until(item: CredentialHandoutRow, now: datetime) -> str:
    return f", good until {when(item.expires_at, now)}" if item.expires_at is not None else ""


def _line(item: HistoryRow, now: datetime) -> str:
    phase = f", drain {item.drain_phase}" if item.drain_phase is not None else ""
    return f"  {when(item.at, now)}: {item.status}{phase}: {item.reason}"
