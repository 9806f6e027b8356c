"""Drains that are taken back, and those that are ended because they take too long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.store import instances
from vmdirac.store.changes import Change, change_all


def take_back(session: Session, found: Sequence[Instance], why: str, now: datetime) -> set[int]:
    """Let these VMs go on where they were before they were to stop; the ids of those of which it could be done.

    The VM is told so by its next heartbeat.

    :param found: for which :func:`vmdirac.policy.drain.can_be_taken_back` is true.
    :param why: the sentence that the history keeps.
    """
    before = instances.before_stopping(session, [item.id for item in found if item.registered_at is None])
    changes = [
        Change(
            item,
            why,
            before.get(item.id, InstanceStatus.RUNNING),
            {"drain_phase": None, "phase_since": now, "stop_reason": None},
        )
        for item in found
    ]
    return change_all(session, changes, now)


def end_overdue(session: Session, found: Sequence[Instance], now: datetime) -> int:
    """Give up VMs whose drain took too long; how many. Their jobs are handed back when they are gone."""
    why = "its drain has taken too long: it is ended, and its jobs are handed back"
    changes = [Change(item, why, values={"forced": True, "stop_reason": StopReason.DRAIN_DEADLINE}) for item in found]
    return len(change_all(session, changes, now))
