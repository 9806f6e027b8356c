"""Which VMs have nothing to do any more and may be drained.

Idle is what the VM itself said: no job, for ``halt_margin``, and still calling in. A VM that we have not heard of
lately is never idle, it is silent, which is another matter (invariant 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.states import InstanceStatus, VmStopPolicy


@dataclass(frozen=True, slots=True)
class IdleRule:
    """How idleness is judged for the VMs of one (pod, endpoint); see :class:`~vmdirac.model.pod.RunningPod`."""

    stop_policy: VmStopPolicy
    halt_margin: timedelta = timedelta(seconds=300)
    min_working_load: float | None = None
    halt_period: timedelta | None = None
    halt_before_margin: timedelta = timedelta(seconds=300)

    @classmethod
    def of(cls, pod: RunningPod, endpoint: Endpoint) -> IdleRule:
        """The rule that is configured for them."""
        return cls(
            endpoint.vm_stop_policy, pod.halt_margin, pod.min_working_load, pod.halt_period, pod.halt_before_margin
        )


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
    if rule.min_working_load is not None and instance.load >= rule.min_working_load:
        return False
    if not _at_the_end_of_a_period(instance, rule, now):
        return False
    # One whose drain was taken back has its whole margin again to find work.
    since = max(instance.idle_since, instance.phase_since or instance.idle_since)
    return instance.recently_heard(now) and now - since >= rule.halt_margin


def _at_the_end_of_a_period(instance: Instance, rule: IdleRule, now: datetime) -> bool:
    """VMDIRAC's ``HaltPeriod`` and ``HaltBeforeMargin``: what is paid for by the hour is used until the hour ends.
    Counted from the launch, as clouds count it."""
    if rule.halt_period is None:
        return True
    return (now - instance.launched_at) % rule.halt_period + rule.halt_before_margin > rule.halt_period


def outside_campaign(instances: Iterable[Instance], pods: Mapping[str, RunningPod], today: date) -> list[Instance]:
    """Running VMs of pods whose campaign does not run on this UTC date. They drain, they are not killed."""
    return [
        instance
        for instance in instances
        if instance.status is InstanceStatus.RUNNING
        and instance.pod in pods
        and not pods[instance.pod].in_campaign(today)
    ]


def past_their_life(instances: Iterable[Instance], now: datetime) -> list[Instance]:
    """Running VMs that have lived as long as they were to. They drain, they are not killed."""
    return [
        instance
        for instance in instances
        if instance.status is InstanceStatus.RUNNING and instance.seconds_left(now) == 0
    ]
