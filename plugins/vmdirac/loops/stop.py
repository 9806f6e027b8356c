"""Stopping by force what a task asked for: written down first, so that the sweep ends what we do not."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.store import instances


def stop(session: Session, instance: Instance, reason: StopReason, why: str, now: datetime) -> bool:
    """Stop one instance by force, whatever it is doing; whether anything had to be changed for that.

    What the cloud was never asked for is Halted at once. What it was asked for without an answer yet is in Error: if
    there is a VM, a list finds it by its token, and it is deleted. All else is Stopping, to be deleted as soon as this
    is committed.

    :param why: the sentence that the history keeps.
    """
    if instance.status is InstanceStatus.NEW:
        return _stop_new(session, instance, reason, why, now)
    if not instance.holds_a_place or instance.forced or instance.cloud_id is None:
        return False
    to = None if instance.status is InstanceStatus.STOPPING else InstanceStatus.STOPPING
    return instances.change(session, instance, now, why, to=to, forced=True, stop_reason=reason)


def _stop_new(session: Session, instance: Instance, reason: StopReason, why: str, now: datetime) -> bool:
    if not instance.launch_attempts:
        sentence, to = f"{why}; the cloud was never asked for it", InstanceStatus.HALTED
    else:
        sentence, to = f"{why}; the cloud had not answered yet", InstanceStatus.ERROR
    return instances.change(
        session,
        instance,
        now,
        sentence,
        to=to,
        stop_reason=reason,
        vm_gone=to is InstanceStatus.HALTED,
        error_kind=None,
        error_message=sentence if to is InstanceStatus.ERROR else "",
    )
