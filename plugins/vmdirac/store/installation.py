"""Who we are, and since when VMs can reach us."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vmdirac.store.database import Store
from vmdirac.store.tables import InstallationRow

_ONLY = 1


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


def mark_hearing(store: Store, now: datetime) -> None:
    """Note that the manager begins to serve VMs now: silence before this moment was ours, not theirs."""
    installation_id(store, now)
    with store.write() as session:
        session.execute(update(InstallationRow).values(hearing_since=now))


def hearing_since(session: Session) -> datetime | None:
    """Since when the manager has been serving VMs; ``None``: it never did."""
    found: datetime | None = session.scalar(select(InstallationRow.hearing_since))
    return found
