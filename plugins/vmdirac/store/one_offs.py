"""Instances as the tasks see them that asked for them, or that wait for them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.model.instance import Instance
from vmdirac.policy.one_off import Standing
from vmdirac.store import instances
from vmdirac.store.tables import HistoryRow, InstanceRow


def of_requester(session: Session, key: str) -> list[Instance]:
    """All instances that a task ever asked for, by id."""
    ids = session.scalars(select(InstanceRow.id).where(InstanceRow.requester_key == key))
    return instances.get_all(session, ids.all())


def siblings(session: Session, key: str) -> list[int]:
    """Their ids."""
    query = select(InstanceRow.id).where(InstanceRow.requester_key == key).order_by(InstanceRow.id)
    return list(session.scalars(query))


def standings(session: Session, ids: Collection[int]) -> dict[int, Standing]:
    """Where instances stand, by id, in one query; ids that there are not are left out."""
    last = (
        select(HistoryRow.reason)
        .where(HistoryRow.instance_id == InstanceRow.id)
        .order_by(HistoryRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(
        InstanceRow.id, InstanceRow.status, InstanceRow.vm_gone, InstanceRow.error_kind, InstanceRow.error_message, last
    ).where(InstanceRow.id.in_(ids))
    found = {}
    for id_, status, vm_gone, kind, message, reason in session.execute(query):
        error = ": ".join(filter(None, [kind, message]))
        found[id_] = Standing(id_, status, vm_gone, error or reason or "")
    return found
