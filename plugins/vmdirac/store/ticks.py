"""Ticks and decisions: what the scheduler saw, wanted and got."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vmdirac.model.decision import Decision, Reason
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.store.tables import DecisionRow, TickRow


def begin(session: Session, now: datetime, run_id: str, demand: Demand | None, demand_error: str = "") -> int:
    """Open a tick with the demand that was read, or with why it could not be; its id."""
    row = TickRow(
        began_at=now,
        run_id=run_id,
        demand=[] if demand is None else [asdict(queue) for queue in demand.task_queues],
        demand_observed_at=None if demand is None else demand.observed_at,
        demand_error=demand_error,
    )
    session.add(row)
    session.flush()
    return row.id


def demand_of(session: Session, tick_id: int) -> Demand | None:
    """The demand that the tick was opened with; ``None`` if it could not be read."""
    row = session.get_one(TickRow, tick_id)
    if row.demand_observed_at is None:
        return None
    return Demand(tuple(_task_queue(raw) for raw in row.demand), row.demand_observed_at)


def demand_error_of(session: Session, tick_id: int) -> str:
    """Why the demand could not be read; empty if it was."""
    return session.get_one(TickRow, tick_id).demand_error


def _task_queue(raw: dict[str, Any]) -> TaskQueue:
    return TaskQueue(raw["key"], Requirements.from_json(raw["requirements"]), raw["jobs"], raw["priority"])


def record_plan(session: Session, tick_id: int, decisions: Iterable[Decision], now: datetime) -> None:
    """Keep the decisions of a tick."""
    session.execute(update(TickRow).where(TickRow.id == tick_id).values(planned_at=now))
    session.add_all(
        DecisionRow(
            tick_id=tick_id,
            pod=item.pod,
            endpoint=item.endpoint,
            jobs=item.jobs,
            waiting_cpu=item.waiting_cpu,
            active=item.active,
            in_flight=item.in_flight,
            warranted=item.warranted,
            planned=item.planned,
            reasons=[reason_to_json(reason) for reason in item.reasons],
        )
        for item in decisions
    )


def reason_to_json(reason: Reason) -> dict[str, object]:
    """The reason as data, and the sentence as it read when it was true."""
    return {
        "code": reason.code.value,
        "parameters": dict(reason.parameters),
        "sentence": str(reason),
    }


def count_launch(session: Session, tick_id: int | None, pod: str, endpoint: str, *, launched: int, failed: int) -> None:
    """Add what became of launches to the decision that they came from."""
    session.execute(
        update(DecisionRow)
        .where(DecisionRow.tick_id == tick_id, DecisionRow.pod == pod, DecisionRow.endpoint == endpoint)
        .values(launched=DecisionRow.launched + launched, failed=DecisionRow.failed + failed)
        .execution_options(synchronize_session=False)
    )


def decisions(session: Session, tick_id: int) -> list[DecisionRow]:
    """The decisions of one tick, by pod and endpoint."""
    query = select(DecisionRow).where(DecisionRow.tick_id == tick_id).order_by(DecisionRow.pod, DecisionRow.endpoint)
    return list(session.scalars(query))
