"""Alerts: raised as long as something is wrong, ended when it is not any more."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, null, or_, select, update
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
        row.since, row.ended_at, row.told_at, row.end_told_at = now, None, None, None
        row.told_to, row.end_told_to = None, None
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


def end_others(session: Session, kind: AlertKind, still: Collection[str], now: datetime) -> None:
    """Of this kind nothing is wrong but with these subjects."""
    query = select(AlertRow.subject).where(AlertRow.kind == kind, AlertRow.ended_at.is_(None))
    end_alerts(session, kind, set(session.scalars(query)) - set(still), now)


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
    return [_to_alert(row) for row in session.scalars(query)]


def open_of(session: Session, kind: AlertKind) -> list[Alert]:
    """All of one kind that is wrong now."""
    query = select(AlertRow).where(AlertRow.kind == kind, AlertRow.ended_at.is_(None)).order_by(AlertRow.id)
    return [_to_alert(row) for row in session.scalars(query)]


def _to_alert(row: AlertRow) -> Alert:
    return Alert(row.kind, row.subject, row.message, row.since, row.last_at, row.ended_at)


@dataclass(frozen=True, slots=True)
class Untold:
    """An alert of which not everybody has been told as it is now.

    :param known_to: names of those who were told that it was raised; ``None``: all were.
    :param told_to: names of those who were told of it as it is now.
    """

    alert: Alert
    known_to: frozenset[str] | None
    told_to: frozenset[str]

    def audience(self, names: Collection[str]) -> list[str]:
        """Who of these is to be told now. That it is over is told to those who know of it."""
        know = names if self.alert.ended_at is None or self.known_to is None else self.known_to
        return [name for name in names if name in know and name not in self.told_to]


def untold(session: Session) -> list[Untold]:
    """What not everybody was told of yet: alerts that were raised, and, of those that anybody was told of, that they
    are over. The oldest come first."""
    raised = and_(AlertRow.told_at.is_(None), AlertRow.ended_at.is_(None))
    known = or_(AlertRow.told_at.is_not(None), AlertRow.told_to.is_not(null()))
    over = and_(known, AlertRow.ended_at.is_not(None), AlertRow.end_told_at.is_(None))
    query = select(AlertRow).where(or_(raised, over)).order_by(AlertRow.since, AlertRow.id)
    return [
        Untold(
            _to_alert(row),
            None if row.told_at is not None else frozenset(row.told_to or ()),
            frozenset((row.told_to if row.ended_at is None else row.end_told_to) or ()),
        )
        for row in session.scalars(query)
    ]


def note_told(session: Session, alert: Alert, told_to: Collection[str], now: datetime, *, all_told: bool) -> None:
    """These, or all who are to know, were told of it as it was read."""
    which = "told" if alert.ended_at is None else "end_told"
    session.execute(
        update(AlertRow)
        .where(AlertRow.kind == alert.kind, AlertRow.subject == alert.subject, AlertRow.since == alert.since)
        .values({f"{which}_to": sorted(told_to) or None} | ({f"{which}_at": now} if all_told else {}))
    )
