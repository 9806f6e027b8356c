"""Alerts: raised as long as something is wrong, ended when it is not any more."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from vmdirac.model.alert import Alert, AlertKind
from vmdirac.store.changes import in_parts
from vmdirac.store.tables import AlertRow

log = logging.getLogger(__name__)


def raise_alert(session: Session, kind: AlertKind, subject: str, message: str, now: datetime) -> None:
    """Something is wrong, or still is. The first time it is logged as an error; afterwards it is only kept."""
    row = session.scalar(select(AlertRow).where(AlertRow.kind == kind, AlertRow.subject == subject).with_for_update())
    if row is None:
        row = AlertRow(kind=kind, subject=subject, since=now)
        session.add(row)
    elif row.ended_at is not None:
        row.since, row.ended_at = now, None
    if row.since == now:
        log.error("alert: %s: %s", subject, message)
    row.message, row.last_at = message, now
    session.flush()


def end_alert(session: Session, kind: AlertKind, subject: str, now: datetime) -> None:
    """It is not wrong, or not any more."""
    session.execute(
        update(AlertRow)
        .where(AlertRow.kind == kind, AlertRow.subject == subject, AlertRow.ended_at.is_(None))
        .values(ended_at=now)
    )


def end_alerts(session: Session, kind: AlertKind, subjects: Collection[str], now: datetime) -> None:
    """The same of many."""
    for part in in_parts(sorted(subjects)):
        session.execute(
            update(AlertRow)
            .where(AlertRow.kind == kind, AlertRow.subject.in_(part), AlertRow.ended_at.is_(None))
            .values(ended_at=now)
        )


def open_alerts(session: Session) -> list[Alert]:
    """All that is wrong now, the newest first."""
    query = select(AlertRow).where(AlertRow.ended_at.is_(None)).order_by(AlertRow.since.desc(), AlertRow.id)
    return [Alert(row.kind, row.subject, row.message, row.since, row.last_at) for row in session.scalars(query)]
