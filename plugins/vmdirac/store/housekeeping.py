"""What has grown old, and its deletion in parts: found without locks, looked at again under them, and then deleted.

Rows that somebody else has locked are left for the next time, so that nobody waits, and nobody is waited for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import Select, and_, bindparam, delete, exists, func, not_, null, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from vmdirac.model.event import EventKind
from vmdirac.model.states import JobStatus
from vmdirac.store import counting
from vmdirac.store.instances import HOLDS_A_PLACE
from vmdirac.store.tables import (
    AlertRow,
    AttemptRow,
    CountingRow,
    CredentialHandoutRow,
    DecisionRow,
    HistoryRow,
    InstanceRow,
    JobRow,
    OfferRow,
    RefusalRow,
    TickDemandRow,
    TickRow,
    TotalRow,
)

FINISHED_JOBS: Final = (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)

_COUNTED = select(func.coalesce(func.max(CountingRow.upto), 0)).where(
    CountingRow.name == counting.Countable.HISTORY.value
)
"""The line of the histories up to which all have been counted."""


def old_jobs(session: Session, before: datetime, at_most: int) -> list[int]:
    """Jobs that ended before, the oldest first."""
    query = select(JobRow.id).where(JobRow.finished_at < before)
    return list(session.scalars(query.order_by(JobRow.finished_at, JobRow.id).limit(at_most)))


def delete_jobs(session: Session, ids: Collection[int], before: datetime) -> int:
    """Delete those of them that still are old, with their files and attempts, and keep their totals; how many."""
    query = (
        select(JobRow.id, JobRow.status, JobRow.finished_at, JobRow.cpu_seconds, JobRow.instance_id)
        .where(JobRow.id.in_(ids), JobRow.status.in_(FINISHED_JOBS), JobRow.finished_at < before)
        .with_for_update(skip_locked=True)
    )
    jobs = session.execute(query).all()
    where = select(InstanceRow.id, InstanceRow.pod, InstanceRow.endpoint).where(
        InstanceRow.id.in_({job.instance_id for job in jobs} - {None})
    )
    places = {row.id: (row.pod, row.endpoint) for row in session.execute(where)}
    counting.add_amounts(
        session,
        [
            (
                (
                    counting.hour_of(job.finished_at),
                    EventKind.JOB.value,
                    *places.get(job.instance_id, ("", "")),
                    job.status.value,
                ),
                1,
                job.cpu_seconds,
            )
            for job in jobs
        ],
    )
    _delete(session, JobRow.id, [job.id for job in jobs])
    return len(jobs)


def old_instances(session: Session, before: datetime, at_most: int) -> list[int]:
    """Instances without a VM that ended before and that nothing refers to, the oldest first."""
    return list(session.scalars(_old_instances(before).order_by(InstanceRow.id).limit(at_most)))


def delete_instances(session: Session, ids: Collection[int], before: datetime) -> int:
    """Delete those of them that still are old, with all that belongs to them; how many."""
    query = _old_instances(before).where(InstanceRow.id.in_(ids)).with_for_update(skip_locked=True)
    found = list(session.scalars(query))
    _delete(session, RefusalRow.instance_id, found)
    _delete(session, InstanceRow.id, found)
    return len(found)


_OVER = not_(HOLDS_A_PLACE)


def _old_instances(before: datetime) -> Select[int]:
    referred_to = [
        exists().where(JobRow.instance_id == InstanceRow.id),
        exists().where(AttemptRow.instance_id == InstanceRow.id),
        # Which credentials it was given is kept for as long as it is configured, with or without a history.
        exists().where(CredentialHandoutRow.instance_id == InstanceRow.id),
        # What happened to it lately has not been counted.
        exists().where(HistoryRow.instance_id == InstanceRow.id, HistoryRow.id > _COUNTED.scalar_subquery()),
    ]
    return select(InstanceRow.id).where(
        _OVER, InstanceRow.status_since < before, *[not_(found) for found in referred_to]
    )


def old_history(session: Session, before: datetime, at_most: int) -> list[int]:
    """Lines of the histories of instances without a VM that ended before, the oldest first; all have been counted."""
    query = (
        select(HistoryRow.id)
        .join(InstanceRow, InstanceRow.id == HistoryRow.instance_id)
        .where(
            HistoryRow.at < before,
            HistoryRow.id <= _COUNTED.scalar_subquery(),
            _OVER,
            InstanceRow.status_since < before,
        )
        .order_by(HistoryRow.at)
        .limit(at_most)
    )
    return list(session.scalars(query))


def delete_history(session: Session, ids: Collection[int], before: datetime) -> int:
    """Delete those of them whose instances still are over; how many."""
    query = (
        select(HistoryRow.id)
        .join(InstanceRow, InstanceRow.id == HistoryRow.instance_id)
        .where(HistoryRow.id.in_(ids), _OVER, InstanceRow.status_since < before)
        .with_for_update(skip_locked=True)
    )
    found = list(session.scalars(query))
    _delete(session, HistoryRow.id, found)
    return len(found)


def old_ticks(session: Session, before: datetime, at_most: int) -> list[int]:
    """Ticks that began before, the oldest first. The last one with a plan stays, however old it is."""
    last = select(func.max(TickRow.id)).where(TickRow.planned_at.is_not(None), TickRow.ordered_pod == "")
    query = select(TickRow.id).where(TickRow.began_at < before, TickRow.id != func.coalesce(last.scalar_subquery(), 0))
    return list(session.scalars(query.order_by(TickRow.began_at, TickRow.id).limit(at_most)))


def delete_ticks(session: Session, ids: Collection[int], before: datetime) -> int:
    """Delete them, with all that belongs to them, and keep the totals of their decisions; how many."""
    query = select(TickRow.id, TickRow.began_at).where(TickRow.id.in_(ids), TickRow.began_at < before)
    began = {row.id: row.began_at for row in session.execute(query.with_for_update(skip_locked=True))}
    decided = select(
        DecisionRow.tick_id, DecisionRow.pod, DecisionRow.endpoint, DecisionRow.planned, DecisionRow.clipped_by
    ).where(DecisionRow.tick_id.in_(began))
    amounts: Counter[counting.Key] = Counter()
    for row in session.execute(decided):
        key = (counting.hour_of(began[row.tick_id]), EventKind.DECISION.value, row.pod, row.endpoint)
        amounts[(*key, "planned")] += row.planned
        if row.clipped_by is not None:
            amounts[(*key, row.clipped_by.value)] += 1
    counting.add_amounts(session, [(key, count, 0.0) for key, count in amounts.items() if count])
    for column in (DecisionRow.tick_id, TickDemandRow.tick_id, TickRow.id):
        _delete(session, column, began)
    return len(began)


def old_offers(session: Session, _before: datetime, at_most: int) -> list[int]:
    """Offers that no decision refers to any more: of configurations long gone."""
    # Read once: there is no index of what decisions refer to.
    used = set(session.scalars(select(DecisionRow.offer_id).distinct()))
    return [id_ for id_ in session.scalars(select(OfferRow.id).order_by(OfferRow.id)) if id_ not in used][:at_most]


def delete_offers(session: Session, ids: Collection[int], _before: datetime) -> int:
    """Delete those of them that still are referred to by none; how many."""
    # A decision that is being written locks its offer.
    mine = set(session.scalars(select(OfferRow.id).where(OfferRow.id.in_(ids)).with_for_update(skip_locked=True)))
    used = set(session.scalars(select(DecisionRow.offer_id).where(DecisionRow.offer_id.in_(mine)).distinct()))
    _delete(session, OfferRow.id, mine - used)
    return len(mine - used)


def old_handouts(session: Session, before: datetime, at_most: int) -> list[int]:
    """Notes of credentials that were last given to a VM before, the oldest first."""
    query = select(CredentialHandoutRow.id).where(CredentialHandoutRow.last_at < before)
    return list(session.scalars(query.order_by(CredentialHandoutRow.last_at).limit(at_most)))


def delete_handouts(session: Session, ids: Collection[int], before: datetime) -> int:
    """Delete those of them that still are old; how many."""
    query = select(CredentialHandoutRow.id).where(
        CredentialHandoutRow.id.in_(ids), CredentialHandoutRow.last_at < before
    )
    found = list(session.scalars(query.with_for_update(skip_locked=True)))
    _delete(session, CredentialHandoutRow.id, found)
    return len(found)


_OVER_AND_TOLD = and_(
    AlertRow.ended_at.is_not(None),
    and_(AlertRow.told_at.is_(None), AlertRow.told_to.is_(null())) | AlertRow.end_told_at.is_not(None),
)


def old_alerts(session: Session, before: datetime, at_most: int) -> list[int]:
    """Alerts that were over before; whoever is to know knows it."""
    query = select(AlertRow.id).where(_OVER_AND_TOLD, AlertRow.ended_at < before)
    return list(session.scalars(query.order_by(AlertRow.id).limit(at_most)))


def delete_alerts(session: Session, ids: Collection[int], before: datetime) -> int:
    """Delete those of them that still are over; how many."""
    query = select(AlertRow.id).where(AlertRow.id.in_(ids), _OVER_AND_TOLD, AlertRow.ended_at < before)
    found = list(session.scalars(query.with_for_update(skip_locked=True)))
    _delete(session, AlertRow.id, found)
    return len(found)


def old_totals(session: Session, before: datetime, at_most: int) -> list[int]:
    """Totals of hours that began before."""
    query = select(TotalRow.id).where(TotalRow.hour < before).order_by(TotalRow.hour).limit(at_most)
    return list(session.scalars(query))


def delete_totals(session: Session, ids: Collection[int], _before: datetime) -> int:
    """Delete them; how many."""
    _delete(session, TotalRow.id, ids)
    return len(ids)


def _delete(session: Session, column: InstrumentedAttribute[int], values: Collection[int]) -> None:
    """Delete rows by their keys, one by one: for many at once MariaDB may read the whole table, and waits for all that
    is locked in it."""
    if values:
        statement = delete(column.class_.__table__).where(column == bindparam("key"))
        session.connection().execute(statement, [{"key": value} for value in sorted(values)])
