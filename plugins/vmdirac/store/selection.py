"""The instances that somebody means."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from vmdirac.model.instance import Instance
from vmdirac.model.stop import Selection
from vmdirac.store import instances
from vmdirac.store.tables import InstanceRow


def pods(session: Session) -> list[str]:
    """Those that have a VM or may get one, by name."""
    query = select(InstanceRow.pod).where(instances.HOLDS_A_PLACE, InstanceRow.pod != "").distinct()
    return sorted(session.scalars(query))


def endpoints(session: Session) -> list[str]:
    """Those where a VM is or may be, by name."""
    return sorted(instances.endpoints_with_vms(session))


def selected(session: Session, selection: Selection) -> list[Instance]:
    """Those of the selection that have a VM or may get one, by id."""
    query = select(InstanceRow.id).where(instances.HOLDS_A_PLACE)
    for column, values in (
        (InstanceRow.id, selection.ids),
        (InstanceRow.pod, selection.pods),
        (InstanceRow.endpoint, selection.endpoints),
        (InstanceRow.status, selection.statuses),
    ):
        if values:
            query = query.where(column.in_(values))
    return instances.get_all(session, list(session.scalars(query)))
