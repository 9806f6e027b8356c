"""Instances as people look at them: filtered, sorted, cut into pages."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from vmdirac.model.states import InstanceStatus
from vmdirac.store.tables import InstanceRow

_UPDATED_AT = case((InstanceRow.heard_at > InstanceRow.changed_at, InstanceRow.heard_at), else_=InstanceRow.changed_at)

_SHOWN = (
    InstanceRow.id,
    InstanceRow.image,
    InstanceRow.pod,
    InstanceRow.endpoint,
    InstanceRow.status,
    InstanceRow.drain_phase,
    InstanceRow.stop_reason,
    InstanceRow.requester,
    InstanceRow.name,
    InstanceRow.cloud_id,
    InstanceRow.public_ip,
    InstanceRow.private_ip,
    InstanceRow.processors,
    InstanceRow.load,
    InstanceRow.uptime,
    InstanceRow.jobs,
    InstanceRow.created_at,
    InstanceRow.status_since,
    InstanceRow.heard_at,
    InstanceRow.error_message,
)
"""What a line shows: not the request and the console, which are large."""


class SortColumn(StrEnum):
    """Columns that the table can be sorted by."""

    ID = "id"
    IMAGE = "image"
    POD = "pod"
    ENDPOINT = "endpoint"
    STATUS = "status"
    CLOUD_ID = "cloud_id"
    LOAD = "load"
    UPTIME = "uptime"
    JOBS = "jobs"
    UPDATED_AT = "updated_at"


def page(
    session: Session,
    *,
    statuses: Collection[InstanceStatus],
    sort: SortColumn,
    descending: bool,
    limit: int,
    offset: int,
) -> tuple[Sequence[Any], int]:
    """Some rows, and how many there are in all.

    :param statuses: only instances in one of these states; empty: in any.
    """
    column = _UPDATED_AT if sort is SortColumn.UPDATED_AT else getattr(InstanceRow, sort.value)
    chosen = [InstanceRow.status.in_(statuses)] if statuses else []
    order = column.desc() if descending else column.asc()
    query = (
        select(*_SHOWN, _UPDATED_AT.label("updated_at"))
        .where(*chosen)
        .order_by(order, InstanceRow.id.desc())
        .limit(limit)
        .offset(offset)
    )
    total = session.scalars(select(func.count()).select_from(InstanceRow).where(*chosen)).one()
    return session.execute(query).all(), total


def one(session: Session, instance_id: int) -> Any | None:
    """The same of one instance, with what is too large for a table; ``None``: there is none of this id."""
    query = select(
        *_SHOWN,
        _UPDATED_AT.label("updated_at"),
        InstanceRow.forced,
        InstanceRow.error_kind,
        InstanceRow.suspicious,
        InstanceRow.request,
    ).where(InstanceRow.id == instance_id)
    return session.execute(query).one_or_none()
