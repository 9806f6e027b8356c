"""Drains that take too long, and drains that are taken back.

A drain is a request that a VM acknowledges: until its deletion has begun, nothing is lost by taking it back, and a VM
that is there is better than one that has to be started.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines, RunningPod
from vmdirac.model.states import CANCELLABLE, AfterDrainDeadline, DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.supply import Backlog

PATIENCE: Final = timedelta(minutes=5)
"""A VM is wanted back for so long, or for its pod's ``halt_margin`` where that is longer, after it was idle for that
time once. One that takes no job although jobs wait for it is broken, and goes all the same."""

OUT_OF_OUR_HANDS: Final = frozenset({StopReason.VM_REPORTED, StopReason.INTERRUPTED})
"""Of these the VM, or its cloud, has decided."""


def can_be_taken_back(instance: Instance) -> bool:
    """Whether a stop can still be cancelled: it is a drain, nothing has been deleted, it was our decision, and the VM
    has not said good-bye."""
    return (
        instance.status is InstanceStatus.STOPPING
        and not instance.forced
        and instance.halting_at is None
        and instance.drain_phase in CANCELLABLE
        and instance.stop_reason not in OUT_OF_OUR_HANDS
    )


def overdue_drains(
    instances: Iterable[Instance],
    pods: Mapping[str, RunningPod],
    deadlines: Callable[[Instance], Deadlines],
    hearing_since: datetime | None,
    now: datetime,
) -> list[Instance]:
    """VMs that still work although they were asked to drain so long ago that their pod wants them to be killed.

    Only of those that call: the others may never have heard of it, and are judged by their silence.

    :param hearing_since: since when VMs can reach the manager; ``None``: they cannot. An outage of ours uses up no
        deadline.
    """
    if hearing_since is None:
        return []
    return [
        item
        for item in instances
        if item.status is InstanceStatus.STOPPING
        and not item.forced
        and item.drain_phase in {DrainPhase.ASKED, DrainPhase.ACKNOWLEDGED}
        and (pod := pods.get(item.pod)) is not None
        and pod.after_drain_deadline is AfterDrainDeadline.KILL
        and item.recently_heard(now)
        and now - max(_told_to_drain(item), hearing_since) > deadlines(item).drain
    ]


def _told_to_drain(instance: Instance) -> datetime:
    """When the VM heard of it; of one that has not said so: when it was asked."""
    acknowledged = instance.drain_phase is DrainPhase.ACKNOWLEDGED
    return (instance.phase_since if acknowledged else None) or instance.status_since


def wanted_back(
    instances: Iterable[Instance], backlog: Backlog, pods: Mapping[str, RunningPod], now: datetime
) -> list[Instance]:
    """VMs that drain because they were idle, and for which there is work again. Their jobs are taken out of the
    backlog.

    :param backlog: jobs that no other VM has been thought of for yet.
    """
    candidates = [
        item
        for item in instances
        if can_be_taken_back(item)
        and item.stop_reason is StopReason.IDLE
        and item.recently_heard(now)
        and item.idle_since is not None
        and (pod := pods.get(item.pod)) is not None
        and pod.in_campaign(now.date())
        and now - item.idle_since <= pod.halt_margin + max(pod.halt_margin, PATIENCE)
    ]
    return [
        item
        for item in sorted(candidates, key=lambda item: worth_keeping(item, pods, now), reverse=True)
        if backlog.fill(item.offer, item.processors - item.busy_processors, item.free_memory_mb, item.seconds_left(now))
    ]


def worth_keeping(instance: Instance, pods: Mapping[str, RunningPod], now: datetime) -> tuple[timedelta, int, int]:
    """Orders VMs of which only some are needed: those that are nearest the end of what is paid for, or of their life,
    go first, then the emptiest, then the youngest."""
    ends = []
    pod = pods.get(instance.pod)
    if pod is not None and pod.halt_period is not None:
        ends.append(pod.halt_period - (now - instance.launched_at) % pod.halt_period)
    if (left := instance.seconds_left(now)) is not None:
        ends.append(timedelta(seconds=left))
    return min(ends, default=timedelta.max), instance.busy_processors, -instance.id
