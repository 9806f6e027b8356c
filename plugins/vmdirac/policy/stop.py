"""What stopping does to each instance that somebody has selected."""

from __future__ import annotations

from collections.abc import Iterable

from vmdirac.model.instance import Instance
from vmdirac.model.states import BOOTING, InstanceStatus, StopReason
from vmdirac.model.stop import StopStep


def steps_of(instances: Iterable[Instance], *, forced: bool) -> list[tuple[Instance, StopStep]]:
    """Those for which there is something to be done, and what. Those that are going already are left out, unless they
    drain and are now to go by force."""
    return [(item, step) for item in instances if (step := _step(item, forced=forced)) is not None]


def _step(item: Instance, *, forced: bool) -> StopStep | None:
    if not item.holds_a_place or item.status is InstanceStatus.ERROR:
        # What may be left of a launch that failed is looked for and deleted anyway.
        return None
    if item.status is InstanceStatus.NEW:
        return StopStep.RETIRE
    if item.status is InstanceStatus.STOPPING:
        return StopStep.FORCE if forced and not item.forced else None
    if forced or item.one_off:
        # Nobody on the VM of a task could be asked to drain.
        return StopStep.FORCE
    return StopStep.END if item.status in BOOTING else StopStep.DRAIN


def was_our_decision(reason: StopReason | None, *, forced: bool) -> bool:
    """Whether a VM was ended with its jobs because somebody, or the deadline of its drain, wanted it: no failure of
    theirs. One that dies while it drains is another matter."""
    return forced and reason in {StopReason.REQUESTED, StopReason.DRAIN_DEADLINE}
