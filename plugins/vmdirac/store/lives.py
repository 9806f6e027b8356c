"""The lives of instances, as far as their histories tell the phases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.model.phase import Moment
from vmdirac.model.states import StopReason
from vmdirac.store.changes import in_parts
from vmdirac.store.fleet import Place
from vmdirac.store.tables import HistoryRow, InstanceRow


@dataclass(frozen=True, slots=True)
class Lives:
    """Histories by place.

    :param instances: how many were looked at.
    :param complete: whether these are all that there are; else the newest of them.
    """

    by_place: dict[Place, list[list[Moment]]]
    instances: int
    complete: bool


def recent(session: Session, since: datetime, at_most: int) -> Lives:
    """Histories of those of the newest instances that something has happened to since then.

    :param at_most: so many instances are looked at, however many there are.
    """
    # By their ids, and whatever happened to them: so the database reads as many rows, and never all of them.
    query = (
        select(InstanceRow.id, InstanceRow.pod, InstanceRow.endpoint, InstanceRow.changed_at)
        .order_by(InstanceRow.id.desc())
        .limit(at_most + 1)
    )
    rows = session.execute(query).all()
    chosen = [row for row in rows[:at_most] if row.changed_at >= since]
    moments = histories(session, [row.id for row in chosen])
    by_place: dict[Place, list[list[Moment]]] = defaultdict(list)
    for row in chosen:
        by_place[row.pod, row.endpoint].append(moments.get(row.id, []))
    return Lives(dict(by_place), min(len(rows), at_most), len(rows) <= at_most)


@dataclass(frozen=True, slots=True)
class Life:
    """All that happened to one instance, first things first. ``stop_reason``: why it was stopped last."""

    pod: str
    endpoint: str
    stop_reason: StopReason | None
    history: list[Moment]


def of_instances(session: Session, ids: Collection[int]) -> list[Life]:
    """The lives of these instances."""
    moments = histories(session, ids)
    found: list[Life] = []
    for part in in_parts(sorted(ids)):
        query = (
            select(InstanceRow.id, InstanceRow.pod, InstanceRow.endpoint, InstanceRow.stop_reason)
            .where(InstanceRow.id.in_(part))
            .order_by(InstanceRow.id)
        )
        found += [
            Life(row.pod, row.endpoint, row.stop_reason, moments.get(row.id, [])) for row in session.execute(query)
        ]
    return found


def histories(session: Session, ids: Collection[int]) -> dict[int, list[Moment]]:
    """All that happened to these instances, each first things first."""
    found: dict[int, list[Moment]] = defaultdict(list)
    for part in in_parts(sorted(ids)):
        query = (
            select(
                HistoryRow.instance_id,
                HistoryRow.id,
                HistoryRow.at,
                HistoryRow.status,
                HistoryRow.drain_phase,
                HistoryRow.error_kind,
            )
            .where(HistoryRow.instance_id.in_(part))
            .order_by(HistoryRow.instance_id, HistoryRow.id)
        )
        for row in session.execute(query):
            found[row.instance_id].append(Moment(row.id, row.at, row.status, row.drain_phase, row.error_kind))
    return dict(found)
