"""How many VMs there are, by where they belong."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from vmdirac.model.states import InstanceStatus
from vmdirac.store.instances import HOLDS_A_PLACE
from vmdirac.store.tables import InstanceRow

REMEMBERED_FOR: Final = timedelta(hours=1)

Place = tuple[str, str]
"""Pod, which is empty for VMs of tasks, and endpoint."""


def counts_by_place(session: Session, now: datetime) -> dict[Place, dict[InstanceStatus, int]]:
    """VMs that there are, or may be, by state. A place that has none any more is there for another hour, so that it can
    be told that it has none."""
    query = (
        select(InstanceRow.pod, InstanceRow.endpoint, InstanceRow.status, func.count().label("vms"))
        .where(or_(HOLDS_A_PLACE, InstanceRow.status_since > now - REMEMBERED_FOR))
        .group_by(InstanceRow.pod, InstanceRow.endpoint, InstanceRow.status)
    )
    found: dict[Place, dict[InstanceStatus, int]] = defaultdict(dict)
    for row in session.execute(query):
        of_place = found[row.pod, row.endpoint]
        if row.status is not InstanceStatus.HALTED:
            of_place[row.status] = row.vms
    return dict(found)
