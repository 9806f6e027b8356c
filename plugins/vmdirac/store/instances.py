"""Instances: reading them as decisions want them, and changing them by compare-and-set."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import CursorResult, Row, Text, and_, cast, func, or_, select, true, tuple_, update
from sqlalchemy.orm import Session

from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Offer
from vmdirac.model.states import UNFINISHED, InstanceStatus
from vmdirac.model.transitions import ensure_permitted
from vmdirac.store.changes import in_parts, of_each, set_values, write_history
from vmdirac.store.tables import HistoryRow, InstanceRow

_NOT_IN_THE_ROW = {"busy_memory_mb"}
_DECIDED_ON = [
    # As text: of the many rows of one pod there is but one offer to be made.
    cast(InstanceRow.offer, Text).label("offer") if field.name == "offer" else getattr(InstanceRow, field.name)
    for field in fields(Instance)
    if field.name not in _NOT_IN_THE_ROW
]


def _to_instance(row: Row[Any]) -> Instance:
    values = row._asdict()
    values["offer"] = _offer(values["offer"])
    return Instance(**values)


@lru_cache(maxsize=1000)
def _offer(text: str) -> Offer:
    return Offer.from_json(json.loads(text))


HOLDS_A_PLACE = and_(
    InstanceRow.status.in_(UNFINISHED), or_(InstanceRow.status != InstanceStatus.ERROR, InstanceRow.vm_gone.is_(False))
)

"""Rows that have a VM or may get one, and so count for the limits. A refused launch has none: its row is kept to be
seen, there is nothing left to do about it."""


def unfinished(session: Session, endpoint: str | None = None) -> list[Instance]:
    """All instances that have a VM or may get one, of one endpoint or of all, by id."""
    query = select(*_DECIDED_ON).where(HOLDS_A_PLACE).order_by(InstanceRow.id)
    if endpoint is not None:
        query = query.where(InstanceRow.endpoint == endpoint)
    return [_to_instance(row) for row in session.execute(query)]


def refused(session: Session, endpoint: str, tokens: Collection[str]) -> list[Instance]:
    """Those of these launches that were thought to have made no VM."""
    gone = select(*_DECIDED_ON).where(
        InstanceRow.endpoint == endpoint,
        InstanceRow.status == InstanceStatus.ERROR,
        InstanceRow.vm_gone.is_(True),
    )
    found: list[Instance] = []
    for part in in_parts(sorted(tokens)):
        found += [_to_instance(row) for row in session.execute(gone.where(InstanceRow.launch_token.in_(part)))]
    return found


def known_elsewhere(session: Session, endpoint: str, tokens: Collection[str]) -> set[str]:
    """Those of these launch tokens whose instances are looked after on another endpoint."""
    theirs = select(InstanceRow.launch_token).where(InstanceRow.endpoint != endpoint, HOLDS_A_PLACE)
    found: set[str] = set()
    for part in in_parts(sorted(tokens)):
        found.update(session.scalars(theirs.where(InstanceRow.launch_token.in_(part))))
    return found


def get(session: Session, instance_id: int) -> Instance | None:
    """One instance as decisions see it."""
    found = session.execute(select(*_DECIDED_ON).where(InstanceRow.id == instance_id)).one_or_none()
    return None if found is None else _to_instance(found)


def get_all(session: Session, ids: Collection[int], *, lock: bool = False) -> list[Instance]:
    """These instances as decisions see them, those that there are, by id.

    :param lock: their rows are locked until the transaction ends, so that they stay what they are.
    """
    found: list[Instance] = []
    for part in in_parts(sorted(ids)):
        query = select(*_DECIDED_ON).where(InstanceRow.id.in_(part)).order_by(InstanceRow.id)
        found += [_to_instance(row) for row in session.execute(query.with_for_update() if lock else query)]
    return found


def locked(session: Session, instance_id: int) -> InstanceRow | None:
    """The row itself, locked until the transaction ends, so that two calls of one VM come after each other."""
    return session.scalar(select(InstanceRow).where(InstanceRow.id == instance_id).with_for_update())


def counts(session: Session) -> dict[InstanceStatus, int]:
    """How many instances are in each state; states without any are left out."""
    query = select(InstanceRow.status, func.count()).group_by(InstanceRow.status)
    return dict(session.execute(query).all())


def counts_with_vm(session: Session) -> dict[InstanceStatus, int]:
    """How many instances that ever got a VM are in each state; states without any are left out."""
    query = (
        select(InstanceRow.status, func.count()).where(InstanceRow.cloud_id.is_not(None)).group_by(InstanceRow.status)
    )
    return dict(session.execute(query).all())


def endpoints_with_vms(session: Session) -> set[str]:
    """Endpoints that must be looked after whatever the configuration says: those with unfinished instances."""
    query = select(InstanceRow.endpoint).where(HOLDS_A_PLACE).distinct()
    return set(session.scalars(query))


_DUE = and_(InstanceRow.status == InstanceStatus.NEW, InstanceRow.last_launch_at.is_(None))

# What a task asked for it launches itself: should it die before that, nobody wants the VM. What the cloud was asked for
# and did not make is asked for again by whoever comes first.
_DUE_FOR_A_TICK = and_(_DUE, or_(InstanceRow.requester_key.is_(None), InstanceRow.launch_attempts > 0))


def due_for_launch(session: Session, endpoint: str, only: Collection[int] | None = None) -> list[Instance]:
    """New instances that the cloud is to be asked for now: never asked, or to be asked again.

    :param only: those of these that are; ``None``: all that a tick asks for.
    """
    chosen = _DUE_FOR_A_TICK if only is None else and_(_DUE, InstanceRow.id.in_(only))
    query = select(*_DECIDED_ON).where(InstanceRow.endpoint == endpoint, chosen).order_by(InstanceRow.id)
    return [_to_instance(row) for row in session.execute(query)]


def endpoints_due_for_launch(session: Session) -> list[str]:
    """Endpoints with something for a tick to launch, by name."""
    query = select(InstanceRow.endpoint).where(_DUE_FOR_A_TICK).distinct().order_by(InstanceRow.endpoint)
    return list(session.scalars(query))


def unanswered_of(session: Session, tick_id: int) -> int:
    """How many of a tick's instances the cloud is still to be asked for, or has given no answer for."""
    query = (
        select(func.count())
        .select_from(InstanceRow)
        .where(InstanceRow.status == InstanceStatus.NEW, InstanceRow.tick_id == tick_id)
    )
    return session.scalars(query).one()


def launched_between(session: Session, endpoint: str, since: datetime, until: datetime) -> int:
    """How many VMs were decided to be started on the endpoint in that time, whatever became of them."""
    query = (
        select(func.count())
        .select_from(InstanceRow)
        .where(InstanceRow.endpoint == endpoint, InstanceRow.created_at > since, InstanceRow.created_at <= until)
    )
    return session.scalars(query).one()


def frozen_requests(session: Session, ids: Collection[int]) -> dict[int, tuple[dict[str, Any], str]]:
    """The launch request of each instance as it was frozen, and the id of the key that its secret comes from."""
    query = select(InstanceRow.id, InstanceRow.request, InstanceRow.secret_key_id).where(InstanceRow.id.in_(ids))
    return {row.id: (row.request, row.secret_key_id) for row in session.execute(query)}


REST_OF_USER_DATA = "rest_of_user_data"
"""Key in a frozen request of what the VM fetches itself, because its cloud does not take so much."""


def add(session: Session, rows: Sequence[InstanceRow], reason: str) -> None:
    """Commit to new instances: rows and the first line of their history."""
    session.add_all(rows)
    session.flush()
    session.add_all(HistoryRow(instance_id=row.id, at=row.created_at, status=row.status, reason=reason) for row in rows)


def change(
    session: Session,
    instance: Instance,
    now: datetime,
    reason: str,
    *,
    to: InstanceStatus | None = None,
    if_still_silent: bool = False,
    **values: Any,
) -> bool:
    """Change an instance if it is still what ``instance`` says (compare-and-set), and write its history.

    :param reason: the sentence that the history keeps.
    :param to: new status; ``None``: it stays.
    :param if_still_silent: only if it has not called in since it was read either.
    :param values: other columns of :class:`~vmdirac.store.tables.instances.InstanceRow`.
    :return: whether it was changed; False means that somebody else changed it first, and nothing was done.
    :raises TransitionNotPermittedError: if the life of an instance has no such step.
    """
    if to is not None:
        ensure_permitted(instance.status, to)
        values |= {"status": to, "status_since": now}
    result = session.execute(
        update(InstanceRow)
        .where(
            InstanceRow.id == instance.id,
            InstanceRow.status == instance.status,
            InstanceRow.version == instance.version,
            InstanceRow.heard_at.is_not_distinct_from(instance.heard_at) if if_still_silent else true(),
        )
        .values(version=InstanceRow.version + 1, changed_at=now, **values)
        .execution_options(synchronize_session=False)
    )
    if not _changed(result):
        return False
    kind = values.get("error_kind")
    write_history(session, {instance.id: reason}, now, {} if kind is None else {instance.id: kind})
    return True


def _changed(result: Any) -> bool:
    return isinstance(result, CursorResult) and result.rowcount == 1


def note_seen(session: Session, seen: Sequence[Mapping[str, Any]]) -> None:
    """Write what a list showed, for many instances at once: each entry has ``id`` and the columns to be set.

    An observation is no change of state: the version stays.
    """
    for part in in_parts(sorted(seen, key=lambda entry: entry["id"])):
        columns = {name for entry in part for name in entry} - {"id"}
        values = {name: {entry["id"]: entry[name] for entry in part if name in entry} for name in columns}
        set_values(
            session,
            [entry["id"] for entry in part],
            {
                name: of_each(name, of, None if len(of) == len(part) else getattr(InstanceRow, name))
                for name, of in values.items()
            },
        )


def note_absent(session: Session, absent: Sequence[Instance]) -> None:
    """Count one more complete list without them, but for those that changed since they were read: it may be by just
    this list that they came too late for."""
    for part in in_parts(sorted(absent, key=lambda item: item.id)):
        session.execute(
            update(InstanceRow)
            .where(
                InstanceRow.id.in_([item.id for item in part]),
                tuple_(InstanceRow.id, InstanceRow.version).in_([(item.id, item.version) for item in part]),
            )
            .values(absences=InstanceRow.absences + 1)
            .execution_options(synchronize_session=False)
        )


def history(session: Session, instance_id: int) -> list[HistoryRow]:
    """All that happened to an instance, first things first."""
    query = select(HistoryRow).where(HistoryRow.instance_id == instance_id).order_by(HistoryRow.id)
    return list(session.scalars(query))


def last_calls_of_ended(session: Session, since: datetime) -> dict[str, list[datetime]]:
    """When instances that are Halted last called in, if that was not before then, by endpoint."""
    query = select(InstanceRow.endpoint, InstanceRow.heard_at).where(
        InstanceRow.status == InstanceStatus.HALTED, InstanceRow.heard_at >= since
    )
    found: dict[str, list[datetime]] = {}
    for row in session.execute(query):
        found.setdefault(row.endpoint, []).append(row.heard_at)
    return found


def before_stopping(session: Session, ids: Collection[int]) -> dict[int, InstanceStatus]:
    """The last state of each of these instances that was not Stopping, by its history."""
    found: dict[int, InstanceStatus] = {}
    for part in in_parts(sorted(ids)):
        query = (
            select(HistoryRow.instance_id, HistoryRow.status)
            .where(HistoryRow.instance_id.in_(part), HistoryRow.status != InstanceStatus.STOPPING)
            .order_by(HistoryRow.id)
        )
        found |= {row.instance_id: row.status for row in session.execute(query)}
    return found
