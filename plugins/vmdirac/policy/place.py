"""One endpoint of a pod while a plan is made, and which of a pod's endpoints gets the next VM."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from vmdirac.model.decision import Decision, Reason
from vmdirac.model.hold import Hold
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.requirements import Offer, TaskQueue


@dataclass(frozen=True, slots=True)
class Candidate:
    """One endpoint that a pod may run on, with all that a launch there needs.

    :param weight: the pod's weight for this endpoint times the endpoint's own.
    :param offer: what such a VM offers, site, processors and memory included.
    """

    pod: RunningPod
    endpoint: Endpoint
    weight: float
    boot_image: str
    flavor: str
    offer: Offer


@dataclass(slots=True)
class Place:
    """A candidate, what is known of it, and what is planned for it.

    :param queues: task queues that it matches, as they were when the plan began.
    :param score: how likely a launch finds room there, from 0 to 1.
    :param active: the pod's instances there in New or a live state; ``in_flight``: those that have not called in yet.
    """

    candidate: Candidate
    queues: Sequence[TaskQueue]
    score: float
    hold: Hold | None
    active: int
    in_flight: int
    planned: int = 0
    reasons: list[Reason] = field(default_factory=list)

    @property
    def offer(self) -> Offer:
        return self.candidate.offer

    @property
    def endpoint(self) -> Endpoint:
        return self.candidate.endpoint

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


def best(places: Sequence[Place], rng: random.Random) -> Place:
    """The place that is furthest behind its share; by lot between equals.

    Highest averages (D'Hondt): over many VMs each place gets its part by weight times score, and a place whose score
    is 0 is taken only when no other is open.
    """

    def average(place: Place) -> float:
        return place.candidate.weight * place.score / (place.active + place.planned + 1)

    highest = max(average(place) for place in places)
    return rng.choice([place for place in places if average(place) == highest])
