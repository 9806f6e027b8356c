"""How much of an account is ours, and whether it has room for one more VM of ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from vmdirac.model.account import AccountLimit, Measure, Usage
from vmdirac.model.cloud import CloudLimits, Shape
from vmdirac.model.instance import Instance


def usage_by_endpoint(
    instances: Iterable[Instance], shapes: Mapping[tuple[str, str], Shape]
) -> defaultdict[str, Usage]:
    """What the instances that hold a place use on each endpoint.

    :param shapes: of flavors, by (endpoint, flavor). Of one that is missing the instance's own processors and memory
        count: they differ only where a pod says itself how many processors its VMs offer.
    """
    used: defaultdict[str, Usage] = defaultdict(Usage)
    for item in instances:
        if item.holds_a_place:
            shape = shapes.get((item.endpoint, item.flavor)) or Shape(item.processors, item.memory_mb)
            used[item.endpoint] += Usage.of(shape)
    return used


def account_limits(told: CloudLimits, ours: Usage) -> tuple[AccountLimit, ...]:
    """The limits that the cloud told, with what others used of them.

    :param ours: what our VMs used when the cloud was asked. Where the cloud counts a VM sooner or later than we do the
        two differ for a moment; then others use nothing, never less.
    """
    measured = (
        (Measure.INSTANCES, told.instances, told.instances_used),
        (Measure.PROCESSORS, told.processors, told.processors_used),
        (Measure.MEMORY, told.memory_mb, told.memory_mb_used),
    )
    return tuple(
        AccountLimit(measure, limit, max(0, used - ours.in_measure(measure)))
        for measure, limit, used in measured
        if limit is not None and used is not None
    )


def first_exceeded(limits: Iterable[AccountLimit], usage: Usage) -> AccountLimit | None:
    """The first limit that does not allow us so much beside what others use; ``None``: all of them do."""
    return next((item for item in limits if item.others + usage.in_measure(item.measure) > item.limit), None)
