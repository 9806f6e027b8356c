"""The scheduler's decision: how many VMs of which running pod to start where.

Everything here is counted in one pass over what the caller read inside one locked transaction, so that two schedulers
at once cannot exceed a limit. The order of steps matters: existing and booting VMs are given jobs first, then pods
are served by priority, and each VM planned takes its jobs out of the backlog before the next one is thought of.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.requirements import Offer, TaskQueue
from vmdirac.model.states import ACTIVE, InstanceStatus, VmPolicy, VmStopPolicy
from vmdirac.policy import holds as hold_policy
from vmdirac.policy.supply import Backlog


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


@dataclass(frozen=True, slots=True)
class Invalid:
    """A (pod, endpoint) that cannot be planned because of its configuration; ``endpoint`` may be empty."""

    pod: str
    endpoint: str
    message: str


@dataclass(frozen=True, slots=True)
class PlannedLaunch:
    """So many VMs of this candidate are to be started."""

    candidate: Candidate
    count: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What one tick wants: launches, and a decision for every (pod, endpoint) whether or not anything starts."""

    launches: tuple[PlannedLaunch, ...]
    decisions: tuple[Decision, ...]


@dataclass(slots=True)
class _Place:
    """One candidate while the plan is being made."""

    candidate: Candidate
    queues: Sequence[TaskQueue]
    score: float
    hold: Hold | None
    active: int
    in_flight: int
    planned: int = 0
    reasons: list[Reason] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        return sum(queue.jobs for queue in self.queues)


@dataclass(slots=True)
class _Counts:
    """Rows that hold a place, counted as the limits count them, with what the plan adds."""

    by_pod: Counter[str]
    by_endpoint: Counter[str]
    planned_by_endpoint: Counter[str]

    @classmethod
    def of(cls, instances: Iterable[Instance]) -> _Counts:
        holding = [instance for instance in instances if instance.holds_a_place]
        return cls(
            Counter(instance.pod for instance in holding),
            Counter(instance.endpoint for instance in holding),
            Counter(),
        )

    def add(self, candidate: Candidate, count: int) -> None:
        self.by_pod[candidate.pod.name] += count
        self.by_endpoint[candidate.endpoint.name] += count
        self.planned_by_endpoint[candidate.endpoint.name] += count

    def pod_limit(self, pod: RunningPod) -> Reason | None:
        count = self.by_pod[pod.name]
        if count < pod.max_instances:
            return None
        return Reason.of(ReasonCode.POD_LIMIT, count=count, limit=pod.max_instances)

    def endpoint_limit(self, endpoint: Endpoint) -> Reason | None:
        count = self.by_endpoint[endpoint.name]
        if count >= endpoint.max_instances:
            return Reason.of(ReasonCode.ENDPOINT_LIMIT, count=count, limit=endpoint.max_instances)
        limit = endpoint.max_launch_per_tick
        if limit is not None and self.planned_by_endpoint[endpoint.name] >= limit:
            return Reason.of(ReasonCode.LAUNCHES_PER_TICK, limit=limit)
        return None

    def room(self, candidate: Candidate) -> int:
        pod, endpoint = candidate.pod, candidate.endpoint
        rooms = [
            pod.max_instances - self.by_pod[pod.name],
            endpoint.max_instances - self.by_endpoint[endpoint.name],
        ]
        if endpoint.max_launch_per_tick is not None:
            rooms.append(endpoint.max_launch_per_tick - self.planned_by_endpoint[endpoint.name])
        return max(0, min(rooms))


def make_plan(
    *,
    candidates: Sequence[Candidate],
    invalid: Sequence[Invalid],
    instances: Sequence[Instance],
    demand: Demand,
    holds: Sequence[Hold],
    now: datetime,
    rng: random.Random,
) -> Plan:
    """Decide what to start now.

    :param candidates: every (pod, endpoint) that can be planned; all of a pod's share one :class:`RunningPod`.
    :param invalid: those that cannot, and why: they only get a decision.
    :param instances: all rows that are not Halted, of all pods and endpoints.
    :param rng: decides between equals, and nothing else.
    """
    backlog = Backlog(demand.task_queues)
    _give_jobs_to_existing_vms(backlog, candidates, instances)
    counts = _Counts.of(instances)
    decisions = [
        Decision(bad.pod, bad.endpoint, 0, 0, 0, 0, 0, 0, (Reason.of(ReasonCode.INVALID, message=bad.message),))
        for bad in invalid
    ]
    launches: list[PlannedLaunch] = []
    for pod, places in _pods_in_order(candidates, backlog, instances, holds, now, rng):
        warranted = _plan_pod(pod, places, backlog, counts, now, rng)
        for place in places:
            if place.planned:
                launches.append(PlannedLaunch(place.candidate, place.planned))
            decisions.append(_decision(place, warranted))
    return Plan(tuple(launches), tuple(decisions))


def _give_jobs_to_existing_vms(
    backlog: Backlog, candidates: Sequence[Candidate], instances: Sequence[Instance]
) -> None:
    offers = {(item.pod.name, item.endpoint.name): item.offer for item in candidates}
    for instance in sorted(instances, key=lambda item: item.id):
        offer = offers.get((instance.pod, instance.endpoint))
        free = instance.free_processors
        if offer is None or not free:
            continue
        # What is free of a VM's memory is only known by its processors' share.
        memory = instance.memory_mb * free // max(1, instance.processors) if instance.memory_mb else None
        backlog.fill(offer, free, memory)


def _pods_in_order(
    candidates: Sequence[Candidate],
    backlog: Backlog,
    instances: Sequence[Instance],
    holds: Sequence[Hold],
    now: datetime,
    rng: random.Random,
) -> list[tuple[RunningPod, list[_Place]]]:
    """Pods by priority, then by waiting work, then by lot."""
    active = Counter((item.pod, item.endpoint) for item in instances if item.status in ACTIVE)
    flying = Counter(
        (item.pod, item.endpoint) for item in instances if item.status in ACTIVE - {InstanceStatus.RUNNING}
    )
    pods: dict[str, tuple[RunningPod, list[_Place]]] = {}
    for item in candidates:
        key = (item.pod.name, item.endpoint.name)
        scope = {"endpoint": item.endpoint.name, "pod": item.pod.name, "flavor": item.flavor}
        place = _Place(
            candidate=item,
            queues=backlog.matching(item.offer),
            score=hold_policy.score(holds, now=now, **scope),
            hold=hold_policy.blocking(holds, now=now, **scope),
            active=active[key],
            in_flight=flying[key],
        )
        pods.setdefault(item.pod.name, (item.pod, []))[1].append(place)
    ordered = sorted(pods.values(), key=lambda entry: entry[0].name)
    rng.shuffle(ordered)
    return sorted(ordered, key=lambda entry: (-entry[0].priority, -_waiting_cpu(entry[1])))


def _waiting_cpu(places: Sequence[_Place]) -> int:
    """CPU seconds that wait for a pod: each task queue once, however many of the pod's endpoints match it."""
    queues = {queue.key: queue for place in places for queue in place.queues}
    return sum(queue.waiting_cpu for queue in queues.values())


def _plan_pod(
    pod: RunningPod,
    places: list[_Place],
    backlog: Backlog,
    counts: _Counts,
    now: datetime,
    rng: random.Random,
) -> int:
    """Plan one pod: fills each place's ``planned`` and ``reasons``; returns the VMs it was worth before limits."""
    if not pod.in_campaign(now.date()):
        reason = Reason.of(
            ReasonCode.UNACTIVE,
            start=str(pod.campaign_start or "ever"),
            end=str(pod.campaign_end or "ever"),
        )
        for place in places:
            place.reasons.append(reason)
        return 0
    for place in places:
        if place.hold is not None:
            place.reasons.append(_held(place.hold))
    usable = [place for place in places if place.hold is None]
    _fill_static(usable, backlog, counts)
    return _follow_demand(pod, places, usable, backlog, counts, rng)


def _held(hold: Hold) -> Reason:
    until = hold.until.isoformat(timespec="seconds")
    return Reason.of(ReasonCode.HELD, until=until, kind=str(hold.kind), message=hold.message)


def _fill_static(usable: Sequence[_Place], backlog: Backlog, counts: _Counts) -> None:
    """Static endpoints are filled while at least one matching job waits, or always when they never stop."""
    for place in usable:
        endpoint = place.candidate.endpoint
        if endpoint.vm_policy is not VmPolicy.STATIC:
            continue
        always = endpoint.vm_stop_policy is VmStopPolicy.NEVER
        if not always and not place.jobs:
            place.reasons.append(Reason.of(ReasonCode.NO_MATCHING_JOBS))
            continue
        room = counts.room(place.candidate)
        if not room:
            limit = counts.pod_limit(place.candidate.pod) or counts.endpoint_limit(endpoint)
            place.reasons.extend([limit] if limit else [])
            continue
        place.planned = room
        counts.add(place.candidate, room)
        offer = place.candidate.offer
        for _ in range(room):
            backlog.fill(offer, offer.processors, offer.memory_mb or None)
        code = ReasonCode.KEPT_FILLED if always else ReasonCode.STATIC_FILL
        place.reasons.append(Reason.of(code, vms=room, limit=endpoint.max_instances))


def _follow_demand(
    pod: RunningPod,
    places: Sequence[_Place],
    usable: Sequence[_Place],
    backlog: Backlog,
    counts: _Counts,
    rng: random.Random,
) -> int:
    """Elastic endpoints: one VM after the other while jobs are left, the elastic rule holds, and there is room."""
    elastic = [place for place in usable if place.candidate.endpoint.vm_policy is VmPolicy.ELASTIC]
    waiting_cpu = _waiting_cpu(places)
    active = sum(place.active + place.planned for place in places)
    warranted = sum(place.planned for place in places)
    by_jobs = max((backlog.vms_to_fill(place.candidate.offer) for place in elastic), default=0)
    warranted += min(by_jobs, _vms_by_rule(pod, waiting_cpu, active))
    for place in elastic:
        left = backlog.left(place.candidate.offer)
        if not place.jobs:
            place.reasons.append(Reason.of(ReasonCode.NO_MATCHING_JOBS))
        elif not left:
            place.reasons.append(Reason.of(ReasonCode.DEMAND_COVERED, jobs=place.jobs))
        else:
            wanted = backlog.vms_to_fill(place.candidate.offer)
            place.reasons.append(Reason.of(ReasonCode.DEMAND, jobs=left, vms=wanted))
    open_places = [place for place in elastic if backlog.left(place.candidate.offer)]
    while open_places:
        if not _rule_holds(pod, waiting_cpu, active):
            reason = Reason.of(
                ReasonCode.CPU_PER_INSTANCE, cpu=waiting_cpu, active=active, minimum=pod.cpu_per_instance
            )
            for place in open_places:
                place.reasons.append(reason)
            break
        if limit := counts.pod_limit(pod):
            for place in open_places:
                place.reasons.append(limit)
            break
        place = _best(open_places, rng)
        offer = place.candidate.offer
        if limit := counts.endpoint_limit(place.candidate.endpoint):
            place.reasons.append(limit)
            open_places.remove(place)
        elif not backlog.fill(offer, offer.processors, offer.memory_mb or None):
            if not place.planned:
                place.reasons.append(Reason.of(ReasonCode.SERVED_ELSEWHERE))
            open_places.remove(place)
        else:
            place.planned += 1
            counts.add(place.candidate, 1)
            active += 1
    return warranted


def _rule_holds(pod: RunningPod, waiting_cpu: int, active: int) -> bool:
    """VMDIRAC's elastic rule; the waiting CPU is that of the start of the tick, not reduced by what is planned."""
    return not active or waiting_cpu >= pod.cpu_per_instance * active


def _vms_by_rule(pod: RunningPod, waiting_cpu: int, active: int) -> int:
    """How many VMs the elastic rule alone would still let start."""
    if not pod.cpu_per_instance:
        return 2**31
    return max(1 if not active else 0, int(waiting_cpu // pod.cpu_per_instance) - active + 1)


def _best(places: Sequence[_Place], rng: random.Random) -> _Place:
    """The place that is furthest behind its share; by lot between equals.

    Highest averages (D'Hondt): over many VMs each place gets its part by weight times score, and a place whose score
    is 0 is taken only when no other is open.
    """

    def average(place: _Place) -> float:
        return place.candidate.weight * place.score / (place.active + place.planned + 1)

    best = max(average(place) for place in places)
    return rng.choice([place for place in places if average(place) == best])


def _decision(place: _Place, warranted: int) -> Decision:
    return Decision(
        pod=place.candidate.pod.name,
        endpoint=place.candidate.endpoint.name,
        jobs=place.jobs,
        waiting_cpu=sum(queue.waiting_cpu for queue in place.queues),
        active=place.active,
        in_flight=place.in_flight,
        warranted=warranted,
        planned=place.planned,
        reasons=tuple(place.reasons),
    )
