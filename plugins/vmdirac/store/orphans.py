"""VMs that carry our tag and that no instance knows: what lists showed of them, and who called in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from vmdirac.model.cloud import CloudInstance
from vmdirac.model.orphan import Orphan
from vmdirac.store.changes import in_parts
from vmdirac.store.tables import OrphanRow

LONGEST = 255
"""Characters that are kept of a name and of a token. Tokens of ours are shorter."""


def of_endpoint(session: Session, endpoint: str) -> dict[str, Orphan]:
    """What is remembered of the endpoint's orphans, by cloud id."""
    rows = session.scalars(select(OrphanRow).where(OrphanRow.endpoint == endpoint).order_by(OrphanRow.cloud_id))
    return {row.cloud_id: _to_orphan(row) for row in rows}


def everywhere(session: Session) -> list[Orphan]:
    """What is remembered of all of them."""
    query = select(OrphanRow).order_by(OrphanRow.endpoint, OrphanRow.cloud_id)
    return [_to_orphan(row) for row in session.scalars(query)]


def _to_orphan(row: OrphanRow) -> Orphan:
    return Orphan(
        row.endpoint,
        row.cloud_id,
        row.token,
        row.first_seen,
        row.last_seen,
        row.called_at,
        row.delete_attempts,
        row.delete_failed_at,
    )


def note_seen(session: Session, endpoint: str, strangers: Collection[CloudInstance], began: datetime) -> None:
    """Bring the endpoint's orphans up to date with a complete list: those that are new, those that are still there, and
    those that are gone or found their instance after all."""
    there = {seen.cloud_id: seen for seen in strangers}
    query = select(OrphanRow.cloud_id, OrphanRow.id).where(OrphanRow.endpoint == endpoint)
    rows = {row.cloud_id: row.id for row in session.execute(query)}
    gone = [id_ for cloud_id, id_ in sorted(rows.items()) if cloud_id not in there]
    for part in in_parts(gone):
        session.execute(delete(OrphanRow).where(OrphanRow.id.in_(part)))
    if len(gone) < len(rows):
        # Those that are left.
        session.execute(update(OrphanRow).where(OrphanRow.endpoint == endpoint).values(last_seen=began))
    new = [
        {
            "endpoint": endpoint,
            "cloud_id": seen.cloud_id,
            "token": _as_kept(seen.token),
            "name": _as_kept(seen.name),
            "first_seen": began,
            "last_seen": began,
        }
        for cloud_id, seen in sorted(there.items())
        if cloud_id not in rows
    ]
    if new:
        session.execute(insert(OrphanRow), new)


def _as_kept(text: str) -> str:
    """What a column takes of a tag that anybody may have written: one that it refused would end each pass over the
    endpoint."""
    return text.encode(errors="replace").decode().replace("\x00", "\ufffd")[:LONGEST]


def note_deletes(session: Session, endpoint: str, errors: Mapping[str, str], now: datetime) -> None:
    """What became of deletes that were asked for.

    :param errors: by cloud id what was wrong; empty: nothing, the cloud took it.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for cloud_id, error in errors.items():
        alike[error].append(cloud_id)
    for error, cloud_ids in alike.items():
        for part in in_parts(cloud_ids):
            session.execute(
                update(OrphanRow)
                .where(OrphanRow.endpoint == endpoint, OrphanRow.cloud_id.in_(part))
                .values(
                    delete_attempts=OrphanRow.delete_attempts + 1,
                    # A delete that the cloud took and that has no effect is tried again as late as one that failed.
                    delete_failed_at=now,
                    message=error,
                )
                .execution_options(synchronize_session=False)
            )


def tokens(session: Session) -> Sequence[str]:
    """The launch tokens of all orphans."""
    return session.scalars(select(OrphanRow.token).distinct().order_by(OrphanRow.token)).all()


def note_call(session: Session, token: str, now: datetime) -> bool:
    """An orphan has called in; whether one with this launch token is known."""
    found = session.scalars(select(OrphanRow).where(OrphanRow.token == token)).all()
    for row in found:
        row.called_at = now
    return bool(found)


def all_orphans(session: Session) -> Sequence[OrphanRow]:
    """All of them, by endpoint."""
    return session.scalars(select(OrphanRow).order_by(OrphanRow.endpoint, OrphanRow.cloud_id)).all()
