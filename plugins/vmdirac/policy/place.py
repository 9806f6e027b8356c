"""One endpoint of a pod while a plan is made, and which of all that are open gets the next VM."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vmdirac.model.cloud import Shape
from vmdirac.model.decision import Decision, Reason
from vmdirac.model.hold import Hold, Scope
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.requirements import Offer, TaskQueue
from vmdirac.model.ssh import SshAccess
from vmdirac.model.states import VmPolicy


@dataclass(frozen=True, slots=True)
class Candidate:
    """One endpoint that a pod may run on, with all that a launch there needs.

    :param weight: the pod's weight for this endpoint times the endpoint's own.
    :param shape: the flavor's, whatever the pod has its VMs offer.
    :param offer: what such a VM offers, site, processors and memory included.
    :param max_price: price an hour above which the VM is not wanted; ``None``: any.
    :param revision: changes with the configuration of the pod, its image or the endpoint.
    :param ssh: how the VM is contextualized over ssh; ``None``: it is not.
    :param sessionless_metadata: see :class:`~vmdirac.model.cloud.LaunchRequest`.
    """

    pod: RunningPod
    endpoint: Endpoint
    weight: float
    boot_image: str
    flavor: str
    shape: Shape
    offer: Offer
    max_price: float | None = None
    revision: str = ""
    ssh: SshAccess | None = None
    sessionless_metadata: bool = False

    @property
    def scope(self) -> Scope:
        """What a launch here is of."""
        return Scope(self.endpoint.name, self.pod.name, self.flavor, self.revision, self.endpoint.revision)


@dataclass(slots=True)
class Place:
    """A candidate, what is known of it, and what is planned for it.

    :param queues: task queues that it matches, as they were when the plan began.
    :param score: how likely a launch finds room there, from 0 to 1.
    :param hold: what forbids launches there; ``None``: nothing.
    :param probes: what forbade them until lately, so that one launch has to try it first.
    :param active: the pod's instances there in New or a live state; ``in_flight``: those that have not called in yet.
    :param lot: decides between equals; smaller is sooner.
    """

    candidate: Candidate
    queues: Sequence[TaskQueue]
    score: float
    hold: Hold | None
    probes: Sequence[Hold]
    active: int
    in_flight: int
    lot: float = 0.0
    planned: int = 0
    reasons: list[Reason] = field(default_factory=list)

    @property
    def offer(self) -> Offer:
        return self.candidate.offer

    @property
    def endpoint(self) -> Endpoint:
        return self.candidate.endpoint

    @property
    def shape(self) -> tuple[str, str]:
        """What there is or is no room for: a flavor of an endpoint."""
        return self.endpoint.name, self.candidate.flavor

    @property
    def jobs(self) -> int:
        return sum(queue.jobs for queue in self.queues)

    def decision(self, warranted: int) -> Decision:
        """What is recorded of it; ``warranted`` is the whole pod's."""
        return Decision(
            pod=self.candidate.pod.name,
            endpoint=self.endpoint.name,
            jobs=self.jobs,
            waiting_cpu=waiting_cpu([self]),
            active=self.active,
            in_flight=self.in_flight,
            warranted=warranted,
            planned=self.planned,
            reasons=tuple(self.reasons),
        )


def waiting_cpu(places: Sequence[Place]) -> int:
    """CPU seconds that wait for these places: each task queue once, however many of them match it."""
    queues = {queue.key: queue for place in places for queue in place.queues}
    return sum(queue.waiting_cpu for queue in queues.values())


def draw_lots(places: Iterable[Place], rng: random.Random) -> None:
    """Give each place its lot, the same one in whatever order they come."""
    for place in sorted(places, key=lambda place: (place.candidate.pod.name, place.endpoint.name)):
        place.lot = rng.random()


@dataclass(slots=True)
class PodPlan:
    """One pod while the plan is being made.

    :param active: its instances in New or a live state, also on endpoints that it names no more or that are in error,
        and those planned so far.
    :param waiting_cpu: CPU seconds that wait for it, as they were when the plan began.
    :param warranted: VMs that it was worth in this plan, before limits.
    """

    pod: RunningPod
    active: int
    places: list[Place]
    waiting_cpu: int = 0
    warranted: int = 0

    @property
    def planned(self) -> int:
        return sum(place.planned for place in self.places)

    def usable(self, policy: VmPolicy) -> list[Place]:
        """Its places of this policy where launches are not held."""
        return [place for place in self.places if place.hold is None and place.endpoint.vm_policy is policy]


class OpenPlaces:
    """Places that may still get a VM: the pod first that is furthest behind its share, and of its places the one that
    is.

    Highest averages (D'Hondt), twice: over many VMs each pod, and each place of a pod, gets its part by weight times
    score; a pod weighs what the best of its open places does. A place whose score is 0 is taken only when no other is
    open. Between equals the pod comes first that has more work waiting, then the lot decides.
    """

    def __init__(self, places: Iterable[tuple[PodPlan, Place]]) -> None:
        self._places: dict[str, list[tuple[float, float, int, Place]]] = {}
        self._pods: list[tuple[float, int, float, str, PodPlan]] = []
        entries: dict[str, PodPlan] = {}
        for entry, place in places:
            entries[entry.pod.name] = entry
            self._places.setdefault(entry.pod.name, []).append(self._rank(place))
        for name, entry in entries.items():
            heapq.heapify(self._places[name])
            self._queue(entry)

    @staticmethod
    def _rank(place: Place) -> tuple[float, float, int, Place]:
        average = place.candidate.weight * place.score / (place.active + place.planned + 1)
        return -average, place.lot, id(place), place

    def _queue(self, entry: PodPlan) -> None:
        """Put the pod where its share says, if any of its places is open."""
        places = self._places[entry.pod.name]
        if places:
            weight = max(place.candidate.weight * place.score for *_, place in places)
            lot = min(place.lot for *_, place in places)
            rank = (-weight / (entry.active + 1), -entry.waiting_cpu, lot, entry.pod.name, entry)
            heapq.heappush(self._pods, rank)

    def __iter__(self) -> Iterator[tuple[PodPlan, Place]]:
        """Take the first place out, until none is open any more."""
        while self._pods:
            entry = heapq.heappop(self._pods)[-1]
            place = heapq.heappop(self._places[entry.pod.name])[-1]
            yield entry, place
            self._queue(entry)

    def put_back(self, entry: PodPlan, place: Place) -> None:
        """It may get another one, in its turn."""
        heapq.heappush(self._places[entry.pod.name], self._rank(place))
