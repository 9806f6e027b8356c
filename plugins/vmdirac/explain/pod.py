"""Why a pod has the VMs that it has, or none."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from vmdirac.explain.phrases import counted, reasons, when
from vmdirac.model.states import InstanceStatus
from vmdirac.store import ticks
from vmdirac.store.tables import DecisionRow, InstanceRow, RunningPodRow, TickRow


def explain_pod(session: Session, name: str, now: datetime) -> list[str] | None:
    """The pod's state, its VMs, what the last tick decided for it and why, and when VMs of it were last started;
    ``None``: there never was such a pod."""
    pod = session.scalar(select(RunningPodRow).where(RunningPodRow.name == name))
    last = ticks.last_planned(session)
    rows = [row for row in ticks.decisions(session, last.id) if row.pod == name] if last is not None else []
    if pod is None and not rows:
        return None
    lines = []
    if pod is not None:
        lines.append(f"pod {name!r} is {pod.status} since {when(pod.changed_at, now)}")
        if pod.error_message:
            lines.append(f"  {pod.error_message}")
        if pod.campaign_start or pod.campaign_end:
            lines.append(f"its campaign runs from {pod.campaign_start or 'ever'} to {pod.campaign_end or 'ever'} (UTC)")
    lines.append(f"its VMs: {counted(_vms(session, name))}")
    if last is None:
        return [*lines, "no tick has planned anything yet: does the DAG vmdirac_scheduler run?"]
    lines += _last_decision(session, last, rows, now)
    lines += _demand_errors(session, last)
    lines += _last_start(session, name, now)
    return lines


def _vms(session: Session, name: str) -> Counter[object]:
    query = (
        select(InstanceRow.status, func.count())
        .where(InstanceRow.pod == name)
        .group_by(InstanceRow.status)
        .order_by(InstanceRow.status)
    )
    return Counter(dict(session.execute(query).all()))


def refusal(session: Session, row: DecisionRow) -> str:
    """What the cloud said of the last launch of this decision that it refused."""
    query = (
        select(InstanceRow.error_kind, InstanceRow.error_message)
        .where(
            InstanceRow.tick_id == row.tick_id,
            InstanceRow.pod == row.pod,
            InstanceRow.endpoint == row.endpoint,
            InstanceRow.status == InstanceStatus.ERROR,
        )
        .order_by(InstanceRow.id.desc())
        .limit(1)
    )
    found = session.execute(query).one_or_none()
    return "it is not known any more" if found is None else f"{found.error_kind}: {found.error_message}"


def _last_decision(session: Session, last: TickRow, rows: list[DecisionRow], now: datetime) -> list[str]:
    head = f"tick {last.id}, {when(last.planned_at or last.began_at, now)}"
    if not rows:
        return [f"{head}, decided nothing for it: it is not configured, or not any more"]
    lines = [f"{head}, decided:"]
    for row in rows:
        where = f"on {row.endpoint}" if row.endpoint else "as a whole"
        age = "" if row.demand_age is None else f", seen {row.demand_age:.0f} s before"
        lines.append(f"  {where}: {row.planned} to start: {reasons(row)}")
        lines.append(
            f"    {row.jobs} matching jobs ({row.waiting_cpu} s of CPU{age}), {row.active} active VMs,"
            f" {row.in_flight} of them on their way; {row.warranted} VMs warranted, {row.launched} launched,"
            f" {row.failed} refused"
        )
        if row.failed:
            lines.append(f"    refused because: {refusal(session, row)}")
    return lines


def _demand_errors(session: Session, last: TickRow) -> list[str]:
    errors = ticks.demand_of(session, last.id).errors
    return [f"the demand of {source} could not be read: {error}" for source, error in errors.items()]


def _last_start(session: Session, name: str, now: datetime) -> list[str]:
    query = select(InstanceRow.id, InstanceRow.endpoint, InstanceRow.created_at).where(InstanceRow.pod == name)
    found = session.execute(query.order_by(InstanceRow.id.desc()).limit(1)).one_or_none()
    if found is None:
        return ["none of its VMs was ever started"]
    return [f"its last VM was started {when(found.created_at, now)}: instance {found.id} on {found.endpoint}"]
