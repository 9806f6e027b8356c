"""What a VM that calls in is told to do."""

from __future__ import annotations

from vmdirac.model.states import CANCELLABLE, DrainPhase, InstanceStatus


def next_phase(phase: DrainPhase | None, *, draining: bool, jobs: int) -> DrainPhase | None:
    """Where a drain stands after the VM reported whether it takes jobs and how many it has.

    Only a VM that says itself that it takes no more jobs has acknowledged; only then does "no jobs" mean empty, because
    it can no longer be handed one between this report and the delete. But another pilot on the VM takes its jobs from
    somebody else: one that was empty and has some again is not deleted, whatever it says of draining.
    """
    if phase not in CANCELLABLE:
        return phase
    if not draining:
        return DrainPhase.ASKED if phase is DrainPhase.EMPTY and jobs else phase
    return DrainPhase.ACKNOWLEDGED if jobs else DrainPhase.EMPTY


def is_revoked(status: InstanceStatus, phase: DrainPhase | None, *, said_halting: bool) -> bool:
    """Whether the VM's token is good for nothing any more but to be told to end, and to say that it does.

    Not yet when the drain is empty: until its deletion began, the stop may still be taken back.
    """
    if status in {InstanceStatus.HALTED, InstanceStatus.ERROR}:
        return True
    return status is InstanceStatus.STOPPING and (said_halting or phase is DrainPhase.DELETING)


def should_halt(status: InstanceStatus, phase: DrainPhase | None, *, forced: bool) -> bool:
    """Whether the VM is to end now. An empty VM waits: until its deletion began, the stop may still be taken back."""
    if status in {InstanceStatus.HALTED, InstanceStatus.ERROR}:
        return True
    return status is InstanceStatus.STOPPING and (forced or phase is DrainPhase.DELETING)
