"""Which instance was given which version of which credential, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.store.tables import CredentialHandoutRow


@dataclass(frozen=True, slots=True)
class Handout:
    """One version of one credential.

    :param version: tells versions apart, and nothing of what is in them.
    :param expires_at: when it is good no more; ``None``: not known.
    """

    name: str
    version: str
    expires_at: datetime | None


def note(session: Session, instance_id: int, pod: str, given: Sequence[Handout], now: datetime) -> None:
    """The instance is given these. Asked for again, the same version is a higher number in the same row: an instance
    makes no more rows than there are versions. Its row must be locked."""
    for item in given:
        query = select(CredentialHandoutRow).where(
            CredentialHandoutRow.instance_id == instance_id,
            CredentialHandoutRow.name == item.name,
            CredentialHandoutRow.version == item.version,
        )
        row = session.scalar(query)
        if row is None:
            row = CredentialHandoutRow(
                instance_id=instance_id, name=item.name, version=item.version, first_at=now, times=0
            )
            session.add(row)
        row.pod, row.expires_at = pod, item.expires_at
        row.times, row.last_at = row.times + 1, now
    session.flush()


def of_instance(session: Session, instance_id: int) -> list[CredentialHandoutRow]:
    """What one instance was given, the latest first."""
    query = select(CredentialHandoutRow).where(CredentialHandoutRow.instance_id == instance_id)
    return list(session.scalars(query.order_by(CredentialHandoutRow.last_at.desc(), CredentialHandoutRow.id.desc())))


def latest(session: Session, limit: int, *, pod: str | None = None) -> list[CredentialHandoutRow]:
    """What was given last, to VMs of one pod or of all."""
    query = select(CredentialHandoutRow).order_by(CredentialHandoutRow.last_at.desc(), CredentialHandoutRow.id.desc())
    if pod is not None:
        query = query.where(CredentialHandoutRow.pod == pod)
    return list(session.scalars(query.limit(limit)))
