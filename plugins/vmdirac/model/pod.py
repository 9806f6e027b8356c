"""Running pods, images and endpoints as the decisions see them: validated, with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Final

from vmdirac.model.agent_rules import AgentRules
from vmdirac.model.context import Context
from vmdirac.model.credential import CredentialSource
from vmdirac.model.output_target import OutputTarget
from vmdirac.model.requirements import Offer
from vmdirac.model.ssh import SshAccess
from vmdirac.model.states import AfterDrainDeadline, VmPolicy, VmStopPolicy

LONGEST_LAUNCH_WINDOW: Final = timedelta(days=366)
"""However small a launch rate is: what began before that is forgotten."""


@dataclass(frozen=True, slots=True)
class DeadlineOverrides:
    """Deadlines that a pod, an image or an endpoint sets itself; ``None``: not set here."""

    launch: timedelta | None = None
    boot: timedelta | None = None
    context: timedelta | None = None
    silence: timedelta | None = None
    stalled_grace: timedelta | None = None
    drain: timedelta | None = None
    delete: timedelta | None = None
    lifetime: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long an instance may stay where it is (design §7).

    :param launch: in New before the cloud is looked at by token.
    :param boot: from the launch to the first call of the VM, or until it can be logged in to over ssh.
    :param context: of one try to contextualize it over ssh, until its first call.
    :param silence: without a call of the VM.
    :param stalled_grace: in Stalled before the VM is stopped by force.
    :param drain: from the moment on at which it was asked to drain; what happens then, the pod says.
    :param delete: from a delete that was asked for to the next try.
    :param lifetime: from the launch to the drain; ``None``: none. It is part of what a VM offers to jobs, so the one
        that it was launched with holds as long as it lives.
    """

    launch: timedelta = timedelta(minutes=5)
    boot: timedelta = timedelta(minutes=15)
    context: timedelta = timedelta(minutes=10)
    silence: timedelta = timedelta(minutes=40)
    stalled_grace: timedelta = timedelta(minutes=15)
    drain: timedelta = timedelta(hours=6)
    delete: timedelta = timedelta(minutes=10)
    lifetime: timedelta | None = None

    @classmethod
    def resolve(cls, *overrides: DeadlineOverrides) -> Deadlines:
        """The defaults, overridden by each argument in turn: the last one that sets a deadline wins."""
        values = {
            item.name: value
            for override in overrides
            for item in fields(override)
            if (value := getattr(override, item.name)) is not None
        }
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Traits:
    """What a pod or an endpoint says of its VMs beside their flavor. ``None`` and empty: nothing said.

    :param processors: slots for jobs, whatever the flavor has.
    :param max_ram: MB that one job may ask for.
    :param whole_node: whether a job may have a whole VM.
    """

    tags: tuple[str, ...] = ()
    required_tags: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    processors: int | None = None
    max_ram: int | None = None
    whole_node: bool | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One account on one cloud.

    :param site: name that jobs know it by.
    :param weight: share of a pod's VMs that it gets beside the pod's other endpoints.
    :param max_launch_per_tick: ``None``: no limit but the others.
    :param launch_rate: launches a minute at most; ``None``: no limit but the others.
    :param cvmfs_proxy: HTTP proxy through which its VMs read CVMFS.
    :param revision: changes with its configuration, credentials included; empty: not known.
    """

    name: str
    driver: str
    site: str
    max_instances: int
    vm_policy: VmPolicy = VmPolicy.ELASTIC
    vm_stop_policy: VmStopPolicy = VmStopPolicy.ELASTIC
    weight: float = 1.0
    max_launch_per_tick: int | None = None
    launch_rate: float | None = None
    cvmfs_proxy: str = ""
    traits: Traits = field(default_factory=Traits)
    deadlines: DeadlineOverrides = field(default_factory=DeadlineOverrides)
    revision: str = ""

    @property
    def launch_window(self) -> tuple[timedelta, int] | None:
        """In how long a time it may start how many VMs; ``None``: any number. A minute, or the time of one launch."""
        if self.launch_rate is None:
            return None
        minutes = min(max(1.0, 1 / self.launch_rate), LONGEST_LAUNCH_WINDOW / timedelta(minutes=1))
        return timedelta(minutes=minutes), max(1, int(self.launch_rate * minutes))


@dataclass(frozen=True, slots=True)
class BootSource:
    """What boots on one endpoint, and in which shape."""

    boot_image: str
    flavor: str


@dataclass(frozen=True, slots=True)
class Image:
    """What boots and how it is contextualized.

    :param default: for endpoints without an entry of their own; ``None``: there must be an entry.
    :param context_method: how the VM gets to know what to do.
    :param ssh: how its VMs are reached, where that is by ssh; ``None``: it is not.
    :param max_allowed_price: of one of its VMs an hour, where prices change; a pod's own counts more.
    :param context: what else is done on its VMs; ``context_by_endpoint``: where that differs.
    :param revision: changes with its definition; empty: not known.
    """

    name: str
    context_method: str
    default: BootSource | None = None
    by_endpoint: tuple[tuple[str, BootSource], ...] = ()
    max_allowed_price: float | None = None
    deadlines: DeadlineOverrides = field(default_factory=DeadlineOverrides)
    context: Context = field(default_factory=Context)
    context_by_endpoint: tuple[tuple[str, Context], ...] = ()
    revision: str = ""
    ssh: SshAccess | None = None

    def on(self, endpoint: str) -> BootSource | None:
        """What boots on this endpoint; ``None`` if nothing is configured for it."""
        return dict(self.by_endpoint).get(endpoint, self.default)

    def context_on(self, endpoint: str) -> Context:
        """What is done on its VMs on this endpoint."""
        return dict(self.context_by_endpoint).get(endpoint, self.context)


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A running condition: an image, the endpoints it may run on, its limits, what it offers, its dates.

    :param endpoints: (name, weight) in the order they were configured.
    :param cpu_per_instance: waiting CPU seconds per active instance below which no more are started; 0: no minimum.
    :param offer: what its VMs offer to jobs; what ``traits`` and the endpoint say is filled in for each endpoint.
    :param max_allowed_price: of one VM an hour, where the cloud has prices that change; ``None``: the image's.
    :param ssh_connection: id of the Airflow connection with the key to log in to its VMs with; empty: the image's.
    :param halt_margin: how long a VM is without a job before it is drained.
    :param after_drain_deadline: what becomes of a VM that still has jobs when its drain has taken too long.
    :param heartbeat_period: how often its VMs call in.
    :param min_working_load: load from which on a VM without a job counts as working all the same; ``None``: load does
        not count.
    :param load_average_timespan: over how long a VM averages the load that it reports.
    :param agent_rules: how the agents on its VMs are to behave.
    :param output_target: where its VMs put what jobs leave in their output directories; ``None``: it comes here.
    :param halt_period: a VM is only drained at the end of such a period of its life (of the cloud's accounting, say);
        ``None``: at any time. ``halt_before_margin``: how long before its end.
    :param credentials: what its VMs are given for the work.
    :param pilot_command: program and arguments that its VMs run beside the agent; empty: none.
    :param revision: changes with its configuration; empty: not known.
    """

    name: str
    image: str
    endpoints: tuple[tuple[str, float], ...]
    max_instances: int
    offer: Offer
    traits: Traits = field(default_factory=Traits)
    max_allowed_price: float | None = None
    cpu_per_instance: float = 0.0
    priority: float = 0.0
    campaign_start: date | None = None
    campaign_end: date | None = None
    halt_margin: timedelta = timedelta(seconds=300)
    after_drain_deadline: AfterDrainDeadline = AfterDrainDeadline.WAIT
    heartbeat_period: timedelta = timedelta(seconds=60)
    min_working_load: float | None = None
    load_average_timespan: timedelta = timedelta(seconds=60)
    halt_period: timedelta | None = None
    halt_before_margin: timedelta = timedelta(seconds=300)
    agent_rules: AgentRules = field(default_factory=AgentRules)
    output_target: OutputTarget | None = None
    credentials: tuple[CredentialSource, ...] = ()
    pilot_command: tuple[str, ...] = ()
    deadlines: DeadlineOverrides = field(default_factory=DeadlineOverrides)
    revision: str = ""
    ssh_connection: str = ""

    def in_campaign(self, today: date) -> bool:
        """Whether the campaign runs on this UTC date; both of its ends are included."""
        if self.campaign_start is not None and today < self.campaign_start:
            return False
        return self.campaign_end is None or today <= self.campaign_end
