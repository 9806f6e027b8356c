"""What is known of endpoints: their last list, what holds launches there, the shapes of their flavors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from vmdirac.model.cloud import Shape
from vmdirac.model.errors import CloudError
from vmdirac.model.hold import PROBED, Hold, HoldKind, Scope
from vmdirac.model.instance import Instance
from vmdirac.policy import holds as hold_policy
from vmdirac.policy.holds import concerns
from vmdirac.store.changes import in_parts
from vmdirac.store.tables import EndpointRow, FlavorRow, HoldRow, InstanceRow


def note_endpoints(session: Session, names: Iterable[str], now: datetime) -> None:
    """Make a row for every endpoint that is used for the first time."""
    known = set(session.scalars(select(EndpointRow.name)))
    session.add_all(EndpointRow(name=name, changed_at=now) for name in set(names) - known)


def lock_endpoints(session: Session, names: Collection[str]) -> None:
    """Lock the endpoints' rows, after the pods' and always in the order of their ids."""
    session.execute(
        select(EndpointRow.id).where(EndpointRow.name.in_(names)).order_by(EndpointRow.id).with_for_update()
    )


def note_list(session: Session, name: str, began: datetime, listed: int, unknown: int) -> None:
    """A complete list of the endpoint's VMs was made."""
    session.execute(
        update(EndpointRow)
        .where(EndpointRow.name == name)
        .values(list_began_at=began, listed_vms=listed, unknown_vms=unknown, list_error="", changed_at=began)
    )


def note_list_error(session: Session, name: str, message: str, now: datetime) -> None:
    """A list failed or broke off: what the last complete one said stays, with its age."""
    session.execute(update(EndpointRow).where(EndpointRow.name == name).values(list_error=message, changed_at=now))


def listed_at(session: Session) -> dict[str, datetime]:
    """When the last complete list of each endpoint began."""
    query = select(EndpointRow.name, EndpointRow.list_began_at)
    return {name: began for name, began in session.execute(query) if began is not None}


def holds(session: Session, now: datetime) -> list[Hold]:
    """All holds that still matter: those that hold, and those that wait for a probe."""
    query = select(HoldRow).where(or_(HoldRow.until > now, HoldRow.kind.in_(PROBED))).order_by(HoldRow.id)
    return [_to_hold(row) for row in session.scalars(query)]


def _to_hold(row: HoldRow) -> Hold:
    return Hold(
        row.endpoint, row.kind, row.message, row.since, row.until, row.pod, row.flavor, row.failures, row.revision
    )


def scope_of(instance: Instance, request: Mapping[str, Any]) -> Scope:
    """What the launch of an instance is of, by its frozen request."""
    return Scope(
        instance.endpoint,
        instance.pod,
        request["flavor"],
        request.get("revision", ""),
        request.get("endpoint_revision", ""),
    )


def scopes_of(session: Session, instances: Sequence[Instance]) -> list[Scope]:
    """The same for instances whose requests have not been read, in their order."""
    requests: dict[int, Mapping[str, Any]] = {}
    for part in in_parts(instances):
        query = select(InstanceRow.id, InstanceRow.request).where(InstanceRow.id.in_([item.id for item in part]))
        requests |= {row.id: row.request for row in session.execute(query)}
    return [scope_of(item, requests[item.id]) for item in instances]


def hold_of(session: Session, scope: Scope, kind: HoldKind) -> Hold | None:
    """The newest hold of this kind that such a launch falls under, even if it has run out: back-off needs it."""
    query = (
        select(HoldRow).where(HoldRow.endpoint == scope.endpoint, HoldRow.kind == kind).order_by(HoldRow.until.desc())
    )
    found = (hold for row in session.scalars(query) if concerns(hold := _to_hold(row), scope))
    return next(found, None)


def put_hold(session: Session, hold: Hold) -> None:
    """Keep a hold in place of the one with the same scope and kind."""
    row = session.scalar(
        select(HoldRow)
        .where(
            HoldRow.endpoint == hold.endpoint,
            HoldRow.pod == hold.pod,
            HoldRow.flavor == hold.flavor,
            HoldRow.kind == hold.kind,
            HoldRow.revision == hold.revision,
        )
        .with_for_update()
    )
    if row is None:
        row = HoldRow(endpoint=hold.endpoint, pod=hold.pod, flavor=hold.flavor, kind=hold.kind, revision=hold.revision)
        session.add(row)
    row.message, row.since, row.until, row.failures = hold.message, hold.since, hold.until, hold.failures
    session.flush()


def note_refusals(session: Session, refusals: Iterable[tuple[Scope, CloudError]], now: datetime) -> None:
    """Hold what launches that were refused at the same moment say should be held: of those that say the same, the last
    one."""
    last = {(scope, error.kind): error for scope, error in refusals}
    for (scope, kind), error in last.items():
        previous = hold_of(session, scope, HoldKind(kind.value))
        hold = hold_policy.after_error(error, scope=scope, now=now, previous=previous)
        if hold is not None:
            put_hold(session, hold)


def release_holds(session: Session, *, endpoint: str, pod: str, flavor: str) -> None:
    """A launch was taken: what the cloud refused it for is not true any more. Whether there is room for the VM is said
    by some clouds later, and whether it boots is another matter."""
    session.execute(
        delete(HoldRow).where(
            HoldRow.endpoint == endpoint,
            HoldRow.pod.in_(["", pod]),
            HoldRow.flavor.in_(["", flavor]),
            HoldRow.kind.not_in([HoldKind.BOOT, HoldKind.CAPACITY]),
        )
    )


def release_capacity(session: Session, endpoint: str, found_room: Mapping[str, datetime]) -> None:
    """VMs run: there is room for their flavors again.

    :param found_room: when the last VM of each flavor that is seen to run was launched. A lack of room that was noted
        after that is not disproved by it.
    """
    query = select(HoldRow).where(HoldRow.endpoint == endpoint, HoldRow.kind == HoldKind.CAPACITY)
    for row in session.scalars(query):
        if row.flavor in found_room and row.since < found_room[row.flavor]:
            session.delete(row)


def release_quota(session: Session, endpoint: str, now: datetime) -> None:
    """A VM of the endpoint is gone: there may be room in its quota again, so one launch may try it now."""
    session.execute(
        update(HoldRow)
        .where(HoldRow.endpoint == endpoint, HoldRow.kind == HoldKind.QUOTA, HoldRow.until > now)
        .values(until=now)
    )


def drop_outdated_holds(session: Session, scopes: Iterable[Scope]) -> list[Hold]:
    """Drop the holds of configurations that have changed since; which they were.

    :param scopes: of all launches that are configured now.
    """
    of_pods = {(scope.endpoint, scope.pod): scope.revision for scope in scopes}
    of_endpoints = {scope.endpoint: scope.endpoint_revision for scope in scopes}
    dropped = []
    for row in session.scalars(select(HoldRow).where(HoldRow.revision != "")):
        now = of_pods.get((row.endpoint, row.pod)) if row.pod else of_endpoints.get(row.endpoint)
        if now and now != row.revision:
            dropped.append(_to_hold(row))
            session.delete(row)
    return dropped


def reset_holds(session: Session, *, endpoint: str, pod: str | None = None) -> list[Hold]:
    """Drop all holds of an endpoint, or those of one pod on it, because a person says so; which they were."""
    query = select(HoldRow).where(HoldRow.endpoint == endpoint)
    if pod is not None:
        query = query.where(HoldRow.pod == pod)
    rows = session.scalars(query.order_by(HoldRow.id)).all()
    for row in rows:
        session.delete(row)
    return [_to_hold(row) for row in rows]


FLAVOR_LIFETIME = timedelta(days=1)
"""A flavor hardly ever changes; asking once a day is often enough to notice."""


def shapes(session: Session, now: datetime) -> dict[tuple[str, str], Shape]:
    """What is known of flavors, by (endpoint, flavor), if it is not too old."""
    rows = session.scalars(select(FlavorRow).where(FlavorRow.asked_at > now - FLAVOR_LIFETIME))
    return {(row.endpoint, row.flavor): Shape(row.processors, row.memory_mb) for row in rows}


def all_shapes(session: Session) -> dict[tuple[str, str], Shape]:
    """What is known of flavors, however old."""
    rows = session.scalars(select(FlavorRow))
    return {(row.endpoint, row.flavor): Shape(row.processors, row.memory_mb) for row in rows}


def put_shapes(session: Session, found: Mapping[tuple[str, str], Shape], now: datetime) -> None:
    """Keep what clouds said of their flavors."""
    rows = {(row.endpoint, row.flavor): row for row in session.scalars(select(FlavorRow))}
    for (endpoint, flavor), shape in found.items():
        row = rows.get((endpoint, flavor))
        if row is None:
            row = FlavorRow(endpoint=endpoint, flavor=flavor)
            session.add(row)
        row.processors, row.memory_mb, row.asked_at = shape.processors, shape.memory_mb, now
