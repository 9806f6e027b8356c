"""Who we are, and since when VMs can reach us."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vmdirac.store.database import Store
from vmdirac.store.tables import InstallationRow

_ONLY = 1

MARK_EVERY = timedelta(seconds=5)
DEAF_AFTER = timedelta(seconds=15)
"""The manager counts as out of reach when it has not marked for so long."""


def installation_id(store: Store, now: datetime) -> str:
    """The id that every VM of this installation carries as a tag; made the first time that it is asked for."""
    with store.read() as session:
        found: str | None = session.scalar(select(InstallationRow.installation_id))
    if found is not None:
        return found
    try:
        with store.write() as session:
            session.add(InstallationRow(id=_ONLY, installation_id=str(uuid.uuid4()), created_at=now))
    except IntegrityError:
        pass  # somebody else was first; theirs is the one
    with store.read() as session:
        made: str = session.scalars(select(InstallationRow.installation_id)).one()
    return made


def renew_installation_id(session: Session) -> str:
    """Give this database an installation id of its own, because it is a copy of another one's; the new id."""
    row = session.scalars(select(InstallationRow).with_for_update()).one_or_none()
    if row is None:
        raise LookupError("this database has no installation id yet: it is nobody's copy")
    row.installation_id = str(uuid.uuid4())
    return row.installation_id


def mark_hearing(store: Store, now: datetime) -> None:
    """Note that the manager serves VMs now. To be called every :data:`MARK_EVERY`.

    After a longer pause, whatever the reason, VMs could not reach us until now: silence before was ours, not theirs.
    """
    installation_id(store, now)
    store.transact(lambda session: _mark(session, now))


def _mark(session: Session, now: datetime) -> None:
    row = session.scalars(select(InstallationRow).with_for_update()).one()
    if row.served_at is None or now - row.served_at > DEAF_AFTER:
        row.hearing_since = now
    row.served_at = max(now, row.served_at or now)


def hearing_since(session: Session, now: datetime) -> datetime | None:
    """Since when VMs can reach the manager; ``None``: they cannot, or it never ran."""
    row = session.scalar(select(InstallationRow))
    if row is None or row.served_at is None or now - row.served_at > DEAF_AFTER:
        return None
    since: datetime | None = row.hearing_since
    return since
