"""An instance as the decisions see it: a frozen copy of its row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vmdirac.model.cloud import CloudState
from vmdirac.model.requirements import Offer
from vmdirac.model.ssh import SSH
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason


@dataclass(frozen=True, slots=True)
class Instance:
    """One VM, from the intent to start it until the cloud confirms that it is gone. All times are UTC.

    :param flavor: its shape, as its cloud names it; empty: not known.
    :param offer: what it was started to offer to jobs, whatever its pod offers today.
    :param version: counts the row's changes; a compare-and-set on it fails if anybody changed the row meanwhile.
    :param cloud_id: None until the cloud told it.
    :param status_since: when it got its present status.
    :param changed_at: when its status, version or cloud id last changed.
    :param phase_since: when the drain reached its present phase; of a VM that does not drain: when its last drain was
        taken back.
    :param heard_at: last time the VM called in, by our clock; None: never.
    :param halting_at: when the VM said that it ends; ``None``: it did not.
    :param idle_since: since when the VM itself says that it has no job; None: it has one, or never reported.
    :param jobs: jobs that the VM said it runs.
    :param busy_processors: processors that these jobs occupy.
    :param forced: stopped without waiting for its jobs.
    :param busy_memory_mb: memory that its jobs asked for.
    :param heartbeat_period: seconds between its calls.
    :param load: average load that it reported last.
    :param launch_attempts: how often the cloud was asked for it.
    :param last_launch_at: when the cloud was last asked for it.
    :param delete_failed_at: when a delete was last refused; ``None``: the last one was not.
    :param reported_ip: address that the VM said it has when it registered; empty: none.
    :param absences: complete lists in a row in which the VM was looked for and not found.
    :param seen_at: when a list of the cloud last showed it.
    :param cloud_state: its state in that list; None: none showed it yet.
    :param public_ip: address that the cloud or the VM told last, as ``private_ip``; empty: none.
    :param vm_gone: the cloud said that there is no VM: it refused the launch, or lists it no more (Error rows).
    :param requester_key: the task of a DAG that asked for this one VM; ``None``: it is a pod's.
    :param requester_try: the number of that task's try that has it now.
    :param context_method: how it gets to know what to do, if that takes more than its user data; empty: it does not.
    """

    id: int
    version: int
    pod: str
    image: str
    endpoint: str
    launch_token: str
    status: InstanceStatus
    created_at: datetime
    status_since: datetime
    changed_at: datetime
    offer: Offer
    cloud_id: str | None = None
    flavor: str = ""
    processors: int = 1
    memory_mb: int = 0
    tick_id: int | None = None
    drain_phase: DrainPhase | None = None
    phase_since: datetime | None = None
    stop_reason: StopReason | None = None
    forced: bool = False
    registered_at: datetime | None = None
    heard_at: datetime | None = None
    halting_at: datetime | None = None
    idle_since: datetime | None = None
    jobs: int = 0
    busy_processors: int = 0
    busy_memory_mb: int = 0
    heartbeat_period: float = 60.0
    load: float = 0.0
    launch_attempts: int = 0
    last_launch_at: datetime | None = None
    delete_attempts: int = 0
    delete_asked_at: datetime | None = None
    delete_failed_at: datetime | None = None
    reported_ip: str = ""
    absences: int = 0
    seen_at: datetime | None = None
    cloud_state: CloudState | None = None
    public_ip: str = ""
    private_ip: str = ""
    vm_gone: bool = False
    requester_key: str | None = None
    requester_try: int | None = None
    context_method: str = ""

    @property
    def once_launched(self) -> InstanceStatus:
        """Its state when the cloud has made its VM."""
        return InstanceStatus.WAIT_SSH_CONTEXT if self.context_method == SSH else InstanceStatus.SUBMITTED

    @property
    def one_off(self) -> bool:
        """Whether a task asked for this one VM: it is of no pod, need not have an agent, and takes no jobs."""
        return self.requester_key is not None

    @property
    def holds_a_place(self) -> bool:
        """Whether it counts against limits (invariant 2): all but Halted, and Error rows without a VM."""
        if self.status is InstanceStatus.HALTED:
            return False
        return not (self.status is InstanceStatus.ERROR and self.vm_gone)

    @property
    def free_processors(self) -> int:
        """Processors that still take jobs: all of a VM that is booting, none of one that is going."""
        if self.one_off:
            return 0
        if self.status is InstanceStatus.RUNNING:
            return max(0, self.processors - self.busy_processors)
        if self.status in {
            InstanceStatus.NEW,
            InstanceStatus.SUBMITTED,
            InstanceStatus.WAIT_SSH_CONTEXT,
            InstanceStatus.CONTEXTUALIZING,
        }:
            return self.processors
        return 0

    @property
    def free_memory_mb(self) -> int | None:
        """Memory that nobody has asked for; ``None``: nobody knows how much it has."""
        return max(0, self.memory_mb - self.busy_memory_mb) if self.memory_mb else None

    def recently_heard(self, now: datetime) -> bool:
        """Whether it called in within its last three periods. What it said before that is too old to act on."""
        return self.heard_at is not None and now - self.heard_at <= timedelta(seconds=3 * self.heartbeat_period)

    def is_silent(self, now: datetime, hearing_since: datetime | None) -> bool:
        """Whether it should have called in by now, and did not. While and right after VMs could not reach us, none
        should have.

        :param hearing_since: since when VMs can reach the manager; ``None``: they cannot.
        """
        if hearing_since is None:
            return False
        had_its_chance = now - hearing_since > timedelta(seconds=3 * self.heartbeat_period)
        return had_its_chance and not self.recently_heard(now)

    @property
    def launched_at(self) -> datetime:
        """When its VM began to live, as far as we know: when the cloud was last asked for it."""
        return self.last_launch_at or self.created_at

    @property
    def expires_at(self) -> datetime | None:
        """When it has lived as long as it was to; ``None``: it has no such end."""
        return self.launched_at + timedelta(seconds=self.offer.max_lifetime) if self.offer.max_lifetime else None

    def seconds_left(self, now: datetime) -> float | None:
        """How long it still takes jobs; ``None``: it has no end."""
        return None if self.expires_at is None else max(0.0, (self.expires_at - now).total_seconds())
