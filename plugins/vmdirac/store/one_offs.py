"""Instances as the tasks see them that asked for them, or that wait for them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.one_off import Standing
from vmdirac.store import instances
from vmdirac.store.tables import HistoryRow, InstanceRow

ENDING = frozenset({InstanceStatus.STOPPING, InstanceStatus.HALTED, InstanceStatus.ERROR})


def of_requester(session: Session, key: str, *, lock: bool = False) -> list[Instance]:
    """All instances that a task ever asked for, by id.

    :param lock: keep others from changing them until the transaction ends.
    """
    return instances.get_all(session, siblings(session, key), lock=lock)


def siblings(session: Session, key: str) -> list[int]:
    """Their ids."""
    query = select(InstanceRow.id).where(InstanceRow.requester_key == key).order_by(InstanceRow.id)
    return list(session.scalars(query))


def standings(session: Session, ids: Collection[int]) -> dict[int, Standing]:
    """Where instances stand, by id, in one query; ids that there are not are left out."""
    alive = (
        select(func.coalesce(func.max(HistoryRow.id), 0))
        .where(HistoryRow.instance_id == InstanceRow.id, HistoryRow.status.not_in(ENDING))
        .correlate(InstanceRow)
        .scalar_subquery()
    )
    # What came after that, such as a delete that was taken, says nothing of why.
    ending = (
        select(HistoryRow.reason)
        .where(HistoryRow.instance_id == InstanceRow.id, HistoryRow.id > alive)
        .order_by(HistoryRow.id)
        .limit(1)
        .correlate(InstanceRow)
        .scalar_subquery()
    )
    query = select(
        InstanceRow.id,
        InstanceRow.status,
        InstanceRow.vm_gone,
        InstanceRow.error_kind,
        InstanceRow.error_message,
        ending,
    ).where(InstanceRow.id.in_(ids))
    found = {}
    for id_, status, vm_gone, kind, message, reason in session.execute(query):
        error = ": ".join(filter(None, [kind, message]))
        found[id_] = Standing(id_, status, vm_gone, error or reason or "")
    return found
