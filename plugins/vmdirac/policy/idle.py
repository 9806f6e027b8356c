"""Which VMs have nothing to do any more and may be drained.

Idle is what the VM itself said: no job, for ``halt_margin``, and still calling in. A VM that we have not heard of
lately is never idle, it is silent, which is another matter (invariant 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from vmdirac.model.instance import Instance
from vmdirac.model.pod import RunningPod
from vmdirac.model.states import InstanceStatus, VmStopPolicy


@dataclass(frozen=True, slots=True)
class IdleRule:
    """How idleness is judged for the VMs of one (pod, endpoint)."""

    stop_policy: VmStopPolicy
    halt_margin: timedelta = timedelta(seconds=300)


def idle_instances(
    instances: Iterable[Instance], rules: Mapping[tuple[str, str], IdleRule], now: datetime
) -> list[Instance]:
    """The VMs to be asked to drain. Those of a (pod, endpoint) without a rule are left alone."""
    return [
        instance
        for instance in instances
        if (rule := rules.get((instance.pod, instance.endpoint))) is not None and _is_idle(instance, rule, now)
    ]


def _is_idle(instance: Instance, rule: IdleRule, now: datetime) -> bool:
    if rule.stop_policy is VmStopPolicy.NEVER or instance.status is not InstanceStatus.RUNNING:
        return False
    if instance.jobs or instance.busy_processors or instance.idle_since is None:
        return False
    return instance.recently_heard(now) and now - instance.idle_since >= rule.halt_margin


def outside_campaign(instances: Iterable[Instance], pods: Mapping[str, RunningPod], today: date) -> list[Instance]:
    """Running VMs of pods whose campaign does not run on this UTC date. They drain, they are not killed."""
    return [
        instance
        for instance in instances
        if instance.status is InstanceStatus.RUNNING
        and instance.pod in pods
        and not pods[instance.pod].in_campaign(today)
    ]
