"""Running pods, images and endpoints as the decisions see them: validated, with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, timedelta

from vmdirac.model.requirements import Offer
from vmdirac.model.states import VmPolicy, VmStopPolicy


@dataclass(frozen=True, slots=True)
class DeadlineOverrides:
    """Deadlines that a pod, an image or an endpoint sets itself; ``None``: not set here."""

    launch: timedelta | None = None
    boot: timedelta | None = None
    silence: timedelta | None = None
    stalled_grace: timedelta | None = None
    delete: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long an instance may stay where it is (design §7).

    :param launch: in New before the cloud is looked at by token.
    :param boot: from the launch to the first call of the VM.
    :param silence: without a call of the VM.
    :param stalled_grace: in Stalled before the VM is stopped by force.
    :param delete: from a delete that was asked for to the next try.
    """

    launch: timedelta = timedelta(minutes=5)
    boot: timedelta = timedelta(minutes=15)
    silence: timedelta = timedelta(minutes=40)
    stalled_grace: timedelta = timedelta(minutes=15)
    delete: timedelta = timedelta(minutes=10)

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
class Endpoint:
    """One account on one cloud.

    :param site: name that jobs know it by.
    :param weight: share of a pod's VMs that it gets beside the pod's other endpoints.
    :param max_launch_per_tick: ``None``: no limit but the others.
    """

    name: str
    driver: str
    site: str
    max_instances: int
    vm_policy: VmPolicy = VmPolicy.ELASTIC
    vm_stop_policy: VmStopPolicy = VmStopPolicy.ELASTIC
    weight: float = 1.0
    max_launch_per_tick: int | None = None
    deadlines: DeadlineOverrides = field(default_factory=DeadlineOverrides)


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
    """

    name: str
    context_method: str
    default: BootSource | None = None
    by_endpoint: tuple[tuple[str, BootSource], ...] = ()
    deadlines: DeadlineOverrides = field(default_factory=DeadlineOverrides)

    def on(self, endpoint: str) -> BootSource | None:
        """What boots on this endpoint; ``None`` if nothing is configured for it."""
        return dict(self.by_endpoint).get(endpoint, self.default)


@dataclass(frozen=True, slots=True)
class RunningPod:
    """A running condition: an image, the endpoints it may run on, its limits, what it offers, its dates.

    :param endpoints: (name, weight) in the order they were configured.
    :param cpu_per_instance: waiting CPU seconds per active instance below which no more are started; 0: no minimum.
    :param offer: what its VMs offer to jobs; site, processors and memory are filled in for each endpoint.
    :param halt_margin: how long a VM is without a job before it is drained.
    :param heartbeat_period: how often its VMs call in.
    """

    name: str
    image: str
    endpoints: tuple[tuple[str, float], ...]
    max_instances: int
    offer: Offer
    cpu_per_instance: float = 0.0
    priority: float = 0.0
    campaign_start: date | None = None
    campaign_end: date | None = None
    halt_margin: timedelta = timedelta(seconds=300)
    heartbeat_period: timedelta = timedelta(seconds=60)
    deadlines: DeadlineOverrides = field(default_factory=DeadlineOverrides)

    def in_campaign(self, today: date) -> bool:
        """Whether the campaign runs on this UTC date; both of its ends are included."""
        if self.campaign_start is not None and today < self.campaign_start:
            return False
        return self.campaign_end is None or today <= self.campaign_end
