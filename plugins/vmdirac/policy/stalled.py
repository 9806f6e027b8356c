"""Which VMs have been silent for too long, judged by our own clock.

Silence is counted from the last call, but never from before the manager itself could hear: after an outage of ours
every VM gets its whole deadline again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import BOOTING, DrainPhase, InstanceStatus, StopReason


@dataclass(frozen=True, slots=True)
class MarkStalled:
    """The VM is silent beyond its deadline."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class StopByForce:
    """The VM is given up: it is deleted without waiting for it."""

    instance: Instance
    reason: StopReason


SilenceAction = MarkStalled | StopByForce


def silent_instances(
    instances: Iterable[Instance],
    deadlines: Callable[[Instance], Deadlines],
    listed_at: Mapping[str, datetime],
    listed_within: timedelta,
    hearing_since: datetime,
    now: datetime,
) -> list[SilenceAction]:
    """What to do with VMs that should have called in and did not.

    :param listed_at: for each endpoint, when its last complete list began. An instance whose endpoint was not listed
        since it counted as silent, or is Stalled, is left alone: no observation, no destruction (invariant 4).
    :param listed_within: a list that began longer ago says nothing of now: where neither VMs nor the cloud can be
        reached, it is the network.
    :param hearing_since: since when VMs can reach the manager.
    """
    actions: list[SilenceAction] = []
    for instance in instances:
        action = _judge(instance, deadlines(instance), hearing_since, now)
        listed = listed_at.get(instance.endpoint)
        if action is None or listed is None:
            continue
        if listed > _since(instance) and now - listed <= listed_within:
            actions.append(action)
    return actions


def _since(instance: Instance) -> datetime:
    """From when on a list says something of what is judged."""
    if instance.status is InstanceStatus.STALLED:
        return instance.status_since
    if instance.heard_at is None:
        return instance.created_at
    return instance.heard_at + timedelta(seconds=3 * instance.heartbeat_period)


def never_asked(
    instances: Iterable[Instance], deadlines: Callable[[Instance], Deadlines], now: datetime
) -> list[Instance]:
    """Rows that were reserved and then never launched, because the task died, launches were held, or the endpoint is
    configured no more. The cloud was not asked, so there is no VM, and their places are free again."""
    return [
        item
        for item in instances
        if item.status is InstanceStatus.NEW
        and not item.launch_attempts
        and now - item.created_at > deadlines(item).launch
    ]


def _judge(instance: Instance, deadlines: Deadlines, hearing_since: datetime, now: datetime) -> SilenceAction | None:
    silence = now - max(instance.heard_at or instance.status_since, hearing_since)
    in_status = now - max(instance.status_since, hearing_since)
    # Whose script runs is judged by its context deadline; here only if nobody does that.
    boot = deadlines.boot
    if instance.status is InstanceStatus.CONTEXTUALIZING:
        boot += deadlines.context
    if instance.status in BOOTING and in_status > boot:
        return StopByForce(instance, StopReason.BOOT_DEADLINE)
    if instance.status is InstanceStatus.RUNNING and silence > deadlines.silence:
        return MarkStalled(instance)
    if instance.status is InstanceStatus.STALLED and in_status > deadlines.stalled_grace:
        return StopByForce(instance, StopReason.STALLED)
    draining = (
        instance.status is InstanceStatus.STOPPING
        and not instance.forced
        and instance.drain_phase is not DrainPhase.DELETING
    )
    if draining and silence > deadlines.silence:
        return StopByForce(instance, StopReason.STALLED)
    return None
