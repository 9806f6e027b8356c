"""What of our VMs is taken by leases, by our own books: they know of jobs that a VM has not reported yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import JobStatus
from vmdirac.store.tables import InstanceRow, JobRow, TaskQueueRow


@dataclass(frozen=True, slots=True)
class InUse:
    """What the leases of one VM take of it; memory only as far as jobs said what they need."""

    processors: int = 0
    memory_mb: int = 0


def in_use(session: Session, instance_id: int | None = None) -> dict[int, InUse]:
    """What leases take, by VM, of one or of all; VMs without leases are left out."""
    query = (
        select(JobRow.instance_id, InstanceRow.processors, TaskQueueRow.requirements, func.count())
        .join(TaskQueueRow, JobRow.task_queue_id == TaskQueueRow.id)
        .join(InstanceRow, JobRow.instance_id == InstanceRow.id)
        .where(JobRow.status == JobStatus.RUNNING)
        .group_by(JobRow.instance_id, InstanceRow.processors, TaskQueueRow.id)
    )
    if instance_id is not None:
        query = query.where(JobRow.instance_id == instance_id)
    found: dict[int, InUse] = {}
    for holder, size, raw, jobs in session.execute(query):
        needs, before = Requirements.from_json(raw), found.get(holder, InUse())
        processors = jobs * needs.processors_of(size)
        found[holder] = InUse(before.processors + processors, before.memory_mb + jobs * needs.memory_mb)
    return found


def less_what_is_leased(session: Session, found: Sequence[Instance]) -> list[Instance]:
    """The instances with what is taken of them by our own books, which know of jobs that a VM has not reported yet."""
    taken, nothing = in_use(session), InUse()
    return [
        replace(
            item,
            busy_processors=max(item.busy_processors, taken.get(item.id, nothing).processors),
            busy_memory_mb=taken.get(item.id, nothing).memory_mb,
        )
        for item in found
    ]


def running_on(session: Session, instance_id: int) -> int:
    """How many leases the VM holds."""
    query = (
        select(func.count())
        .select_from(JobRow)
        .where(JobRow.instance_id == instance_id, JobRow.status == JobStatus.RUNNING)
    )
    return session.scalars(query).one()
