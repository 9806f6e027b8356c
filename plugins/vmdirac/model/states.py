"""The states of instances, images and running pods, spelled as VMDIRAC spelled them."""

from __future__ import annotations

from enum import StrEnum


class InstanceStatus(StrEnum):
    """Where one VM stands, from the intent to start it until the cloud confirms that it is gone."""

    NEW = "New"
    SUBMITTED = "Submitted"
    WAIT_SSH_CONTEXT = "Wait_ssh_context"
    CONTEXTUALIZING = "Contextualizing"
    RUNNING = "Running"
    STOPPING = "Stopping"
    HALTED = "Halted"
    STALLED = "Stalled"
    ERROR = "Error"


BOOTING = frozenset({InstanceStatus.SUBMITTED, InstanceStatus.WAIT_SSH_CONTEXT, InstanceStatus.CONTEXTUALIZING})
"""The cloud took the launch, the VM has not called in yet."""

LIVE = BOOTING | {InstanceStatus.RUNNING}
"""A VM that works or is on its way to it."""

ACTIVE = LIVE | {InstanceStatus.NEW}
"""What the elastic rule divides by: live VMs and those about to be asked for."""

UNFINISHED = frozenset(InstanceStatus) - {InstanceStatus.HALTED}
"""Everything that may still hold a VM in the cloud, and so is looked after by the sweeps."""


class DrainPhase(StrEnum):
    """How far a Stopping instance is. Up to EMPTY a stop can be taken back; from DELETING on it cannot."""

    ASKED = "asked"
    ACKNOWLEDGED = "acknowledged"
    EMPTY = "empty"
    DELETING = "deleting"


CANCELLABLE = frozenset({DrainPhase.ASKED, DrainPhase.ACKNOWLEDGED, DrainPhase.EMPTY})


class StopReason(StrEnum):
    """Why an instance was asked to stop."""

    IDLE = "idle"
    BOOT_DEADLINE = "boot_deadline"
    CONTEXT_FAILED = "context_failed"
    STALLED = "stalled"
    DIED = "died"
    VM_REPORTED = "vm_reported"
    LAUNCH_REFUSED = "launch_refused"
    CAMPAIGN_ENDED = "campaign_ended"
    MAX_LIFETIME = "max_lifetime"
    DRAIN_DEADLINE = "drain_deadline"
    INTERRUPTED = "interrupted"
    REQUESTED = "requested"


class ImageStatus(StrEnum):
    NEW = "New"
    VALIDATED = "Validated"
    ERROR = "Error"


class RunningPodStatus(StrEnum):
    NEW = "New"
    UNACTIVE = "Unactive"
    ACTIVE = "Active"
    ERROR = "Error"


class JobStatus(StrEnum):
    """Where one job of the embedded queue stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class VmPolicy(StrEnum):
    """How many VMs an endpoint gets: STATIC fills it while any job waits, ELASTIC follows the demand."""

    STATIC = "static"
    ELASTIC = "elastic"


class VmStopPolicy(StrEnum):
    """Whether an idle VM is stopped. NEVER exempts from idle stops only."""

    ELASTIC = "elastic"
    NEVER = "never"


class AfterDrainDeadline(StrEnum):
    """What becomes of a VM that still works when its drain has taken too long. WAIT: it may finish. KILL: it is
    deleted, and its jobs are handed back."""

    WAIT = "wait"
    KILL = "kill"
