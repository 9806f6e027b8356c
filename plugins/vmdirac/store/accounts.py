"""Limits of the endpoints' accounts, as their clouds last told them, and what our VMs use of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from vmdirac.model.account import AccountLimit, Measure, Usage
from vmdirac.model.cloud import Shape, VmKind
from vmdirac.store import endpoints, instances
from vmdirac.store.tables import EndpointRow, InstanceRow

TRUSTED_FOR: Final = timedelta(hours=1)
"""How long limits hold that have not been told again: what others use changes, and a launch can still ask."""


def asked_at(session: Session, endpoint: str) -> datetime | None:
    """When the endpoint's cloud last told its limits; ``None``: never."""
    return session.scalar(select(EndpointRow.limits_at).where(EndpointRow.name == endpoint))


def put_limits(session: Session, endpoint: str, limits: Iterable[AccountLimit], now: datetime) -> None:
    """Keep what the cloud told."""
    values = {"limits": [asdict(item) for item in limits], "limits_at": now, "limits_error": ""}
    session.execute(update(EndpointRow).where(EndpointRow.name == endpoint).values(**values))


def note_error(session: Session, endpoint: str, message: str) -> None:
    """The cloud did not tell its limits: those that it told last stay for a while."""
    session.execute(update(EndpointRow).where(EndpointRow.name == endpoint).values(limits_error=message))


def usage(session: Session, *, asked_before: datetime | None = None) -> dict[str, Usage]:
    """What our VMs that hold a place use on each endpoint, counted by the database.

    :param asked_before: only of VMs that the clouds were last asked for before then.
    """
    key = (InstanceRow.endpoint, InstanceRow.flavor, InstanceRow.processors, InstanceRow.memory_mb)
    query = select(*key, func.count().label("vms")).where(instances.HOLDS_A_PLACE).group_by(*key)
    if asked_before is not None:
        query = query.where(InstanceRow.last_launch_at < asked_before)
    shapes = endpoints.all_shapes(session)
    used: dict[str, Usage] = {}
    for row in session.execute(query):
        shape = shapes.get((row.endpoint, row.flavor)) or Shape(row.processors, row.memory_mb)
        used[row.endpoint] = used.get(row.endpoint, Usage()) + row.vms * Usage.of(shape)
    return used


def kinds(session: Session, endpoint: str) -> set[VmKind]:
    """What our VMs on the endpoint are, whatever is configured: tasks start VMs of their own choosing."""
    query = (
        select(InstanceRow.flavor, InstanceRow.max_allowed_price)
        .where(instances.HOLDS_A_PLACE, InstanceRow.endpoint == endpoint)
        .distinct()
    )
    return {VmKind(flavor, price) for flavor, price in session.execute(query)}


def limits_of_row(row: EndpointRow) -> tuple[AccountLimit, ...]:
    """The limits in a row, however old."""
    return tuple(AccountLimit(Measure(item["measure"]), item["limit"], item["others"]) for item in row.limits or ())


def limits(session: Session, now: datetime) -> dict[str, tuple[AccountLimit, ...]]:
    """The limits of all endpoints that are not too old to be trusted."""
    rows = session.scalars(select(EndpointRow).where(EndpointRow.limits_at > now - TRUSTED_FOR))
    return {row.name: limits_of_row(row) for row in rows}
