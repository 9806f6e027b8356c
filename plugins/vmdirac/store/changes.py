"""Many instances changed at once: by the same compare-and-set as one, in a number of statements that does not grow with
theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, case, insert, literal, null, select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus
from vmdirac.model.transitions import ensure_permitted
from vmdirac.store.tables import HistoryRow, InstanceRow

T = TypeVar("T")

AT_ONCE = 500
"""Rows that one statement changes. Each is looked for among the values of all of them, and databases take only so many
values in a statement."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to become of an instance, if it still is what ``instance`` says.

    :param reason: the sentence that the history keeps.
    :param to: new status; ``None``: it stays.
    :param values: other columns of :class:`~vmdirac.store.tables.instances.InstanceRow`.
    """

    instance: Instance
    reason: str
    to: InstanceStatus | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def change_all(session: Session, changes: Sequence[Change], now: datetime) -> set[int]:
    """Make each change whose instance is still what it was (compare-and-set), and write the histories.

    The rows are locked first, in the order of their ids; what is compared under their locks is true until the end of
    the transaction. At most one change an instance.

    :return: the ids of the instances that were changed. Somebody else was first to change the others.
    :raises TransitionNotPermittedError: if the life of an instance has no such step; then none was made.
    :raises sqlalchemy.exc.DBAPIError: if the database refuses a value of one of them; what was made of the others is
        for the caller to roll back, see :func:`change_those_that_can_be`.
    """
    for item in changes:
        if item.to is not None:
            ensure_permitted(item.instance.status, item.to)
    changed: set[int] = set()
    for part in in_parts(sorted(changes, key=lambda item: item.instance.id)):
        changed |= _change_part(session, part, now)
    return changed


def change_those_that_can_be(
    session: Session, changes: Sequence[Change], now: datetime
) -> tuple[set[int], list[Change]]:
    """The same, whatever the values are: what the database refuses comes back, such as a cloud id that another row has,
    and the others are changed. Few of them cost few more statements."""
    try:
        with session.begin_nested():
            return change_all(session, changes, now), []
    except (IntegrityError, DataError):
        if len(changes) == 1:
            return set(), list(changes)
        middle = len(changes) // 2
        first, refused = change_those_that_can_be(session, changes[:middle], now)
        second, more = change_those_that_can_be(session, changes[middle:], now)
        return first | second, refused + more


def _change_part(session: Session, changes: Sequence[Change], now: datetime) -> set[int]:
    wanted = {item.instance.id: item for item in changes}
    query = (
        select(InstanceRow.id, InstanceRow.status, InstanceRow.version)
        .where(InstanceRow.id.in_(wanted))
        .order_by(InstanceRow.id)
        .with_for_update()
    )
    same = [
        wanted[row.id]
        for row in session.execute(query)
        if (row.status, row.version) == (wanted[row.id].instance.status, wanted[row.id].instance.version)
    ]
    alike: dict[tuple[InstanceStatus | None, frozenset[str]], list[Change]] = defaultdict(list)
    for item in same:
        alike[item.to, frozenset(item.values)].append(item)
    for (to, columns), group in alike.items():
        moved = {} if to is None else {"status": to, "status_since": now}
        set_values(
            session,
            [item.instance.id for item in group],
            {"changed_at": now, "version": InstanceRow.version + 1, **moved}
            | {
                name: of_each(name, {item.instance.id: item.values[name] for item in group}) for name in sorted(columns)
            },
        )
    errors = {item.instance.id: kind for item in same if (kind := item.values.get("error_kind")) is not None}
    write_history(session, {item.instance.id: item.reason for item in same}, now, errors)
    return {item.instance.id for item in same}


def in_parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one statement takes."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]


def set_values(session: Session, ids: Collection[int], values: Mapping[str, Any]) -> None:
    """Write columns of these rows, at most :data:`AT_ONCE`, whatever they are now."""
    session.execute(
        update(InstanceRow).where(InstanceRow.id.in_(ids)).values(**values).execution_options(synchronize_session=False)
    )


def of_each(column: str, values: Mapping[int, Any], others: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
    """The value of a column by the id of the row, for one statement that sets it in many rows.

    :param others: its value in rows that have none here.
    """
    return _by_id(values, getattr(InstanceRow, column).type, others)


def _by_id(
    values: Mapping[int, Any], kind: TypeEngine[Any], others: ColumnElement[Any] | None = None
) -> ColumnElement[Any]:
    first = next(iter(values.values()))
    if others is None and all(value == first for value in values.values()):
        return literal(first, kind)
    return case({id_: literal(value, kind) for id_, value in values.items()}, value=InstanceRow.id, else_=others)


def write_history(
    session: Session, reasons: Mapping[int, str], now: datetime, errors: Mapping[int, str] | None = None
) -> None:
    """A line for each instance, at most :data:`AT_ONCE`, with the row's state as it is now, copied by the database
    itself.

    :param reasons: by the instance's id.
    :param errors: kinds of the clouds' errors that lines tell of, by the same.
    """
    if not reasons:
        return
    columns = ["instance_id", "at", "reason", "error_kind", "status", "drain_phase"]
    no_error = null()
    measured = [
        InstanceRow.load,
        InstanceRow.jobs,
        InstanceRow.transferred_files,
        InstanceRow.transferred_bytes,
    ]
    session.execute(
        insert(HistoryRow).from_select(
            [*columns, "load", "jobs", "transferred_files", "transferred_bytes"],
            select(
                InstanceRow.id,
                literal(now, HistoryRow.at.type),
                _by_id(reasons, HistoryRow.reason.type),
                _by_id(errors, HistoryRow.error_kind.type, no_error) if errors else no_error,
                InstanceRow.status,
                InstanceRow.drain_phase,
                *measured,
            )
            .where(InstanceRow.id.in_(reasons))
            .order_by(InstanceRow.id),
        )
    )
