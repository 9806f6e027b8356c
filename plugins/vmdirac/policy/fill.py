"""How pods of equal priority are given VMs: static endpoints are filled, elastic ones follow the demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from vmdirac.model.decision import Reason, ReasonCode
from vmdirac.model.hold import Hold
from vmdirac.model.states import VmPolicy, VmStopPolicy
from vmdirac.policy.holds import room_limit
from vmdirac.policy.limits import Counts
from vmdirac.policy.place import OpenPlaces, Place, PodPlan
from vmdirac.policy.supply import Backlog


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for by hand: that only this pod is planned.

    :param vms: start so many VMs, whatever the demand is; ``None``: as many as the demand wants.
    """

    pod: str
    vms: int | None = None


@dataclass(slots=True)
class Planner:
    """What all pods share while the plan is being made.

    :param probes: VMs that try out each hold that has run out, those planned included.
    :param by_shape: VMs planned for each flavor of each endpoint.
    """

    backlog: Backlog
    counts: Counts
    probes: Counter[Hold]
    out_of_time: Callable[[], bool]
    by_shape: Counter[tuple[str, str]] = field(default_factory=Counter)
    started: int = 0

    def start_one(self, entry: PodPlan, place: Place) -> None:
        """Plan one VM; it takes the jobs that fit into it out of the backlog."""
        self.backlog.fill(place.offer, place.offer.processors, place.offer.memory_mb or None)
        self.counts.add(entry.pod, place.endpoint, place.candidate.shape)
        place.planned += 1
        entry.active += 1
        self.started += 1
        self.probes.update(place.probes)
        self.by_shape[place.shape] += 1

    def limit(self, entry: PodPlan, place: Place) -> Reason | None:
        """Why no more VMs start there now, whatever the demand; ``None``: they may."""
        # Whatever the time was spent on, a plan has something in it: else no tick would ever start anything.
        if self.started and self.out_of_time():
            return Reason.of(ReasonCode.TIME_BUDGET)
        return (
            self.counts.pod_limit(entry.pod)
            or self.counts.endpoint_limit(place.endpoint)
            or self.counts.account_limit(place.endpoint, place.candidate.shape)
            or self._probing(place)
            or self._recovering(place)
        )

    def _recovering(self, place: Place) -> Reason | None:
        limit = room_limit(place.score)
        if limit is None or self.by_shape[place.shape] < limit:
            return None
        return Reason.of(ReasonCode.RECOVERING, flavor=place.candidate.flavor, limit=limit)

    def _probing(self, place: Place) -> Reason | None:
        hold = next((hold for hold in place.probes if self.probes[hold]), None)
        if hold is None:
            return None
        return Reason.of(ReasonCode.PROBING, kind=str(hold.kind), message=hold.message)


def fill_static(entries: Iterable[PodPlan], planner: Planner) -> None:
    """Static endpoints are filled while at least one matching job waits, or always when they never stop."""
    open_places = []
    for entry in entries:
        for place in entry.usable(VmPolicy.STATIC):
            if place.jobs or place.endpoint.vm_stop_policy is VmStopPolicy.NEVER:
                open_places.append((entry, place))
                entry.warranted += planner.counts.free_places(place.endpoint)
            else:
                place.reasons.append(Reason.of(ReasonCode.NO_MATCHING_JOBS))
    # One VM after the other: where a limit is reached before all are full, each has its share.
    waiting = OpenPlaces(open_places)
    for entry, place in waiting:
        limit = planner.limit(entry, place)
        if limit is None:
            planner.start_one(entry, place)
            waiting.put_back(entry, place)
            continue
        if place.planned:
            always = place.endpoint.vm_stop_policy is VmStopPolicy.NEVER
            code = ReasonCode.KEPT_FILLED if always else ReasonCode.STATIC_FILL
            place.reasons.append(Reason.of(code, vms=place.planned, limit=place.endpoint.max_instances))
        place.reasons.append(limit)


def follow_demand(entries: Sequence[PodPlan], planner: Planner) -> None:
    """Elastic endpoints: one VM after the other while jobs are left, the elastic rule holds, and there is room."""
    backlog = planner.backlog
    open_places = []
    for entry in entries:
        elastic = entry.usable(VmPolicy.ELASTIC)
        # Also what waits for places where launches are held is worth VMs.
        wanted = [place.offer for place in entry.places if place.endpoint.vm_policy is VmPolicy.ELASTIC]
        by_jobs = backlog.vms_to_fill(wanted)
        entry.warranted += min(by_jobs, _vms_by_rule(entry, by_jobs))
        for place in elastic:
            place.reasons.append(_demand(place, backlog))
            if backlog.left(place.offer):
                open_places.append((entry, place))
    waiting = OpenPlaces(open_places)
    for entry, place in waiting:
        if not backlog.left(place.offer):
            if not place.planned:
                place.reasons.append(Reason.of(ReasonCode.SERVED_ELSEWHERE))
        elif limit := _rule(entry) or planner.limit(entry, place):
            place.reasons.append(limit)
        else:
            planner.start_one(entry, place)
            waiting.put_back(entry, place)
    for entry in entries:
        entry.warranted = max(entry.warranted, entry.planned)


def start_as_asked(entry: PodPlan, vms: int, planner: Planner) -> None:
    """Start so many VMs of a pod because somebody asked for them; limits and holds count as ever."""
    entry.warranted = vms
    waiting = OpenPlaces([(entry, place) for place in entry.places if place.hold is None])
    for _, place in waiting:
        if entry.planned == vms:
            place.reasons.append(Reason.of(ReasonCode.ASKED_FOR, vms=vms))
        elif limit := planner.limit(entry, place):
            place.reasons += [Reason.of(ReasonCode.ASKED_FOR, vms=vms), limit]
        else:
            planner.start_one(entry, place)
            waiting.put_back(entry, place)


def _demand(place: Place, backlog: Backlog) -> Reason:
    left = backlog.left(place.offer)
    if left:
        return Reason.of(ReasonCode.DEMAND, jobs=left, vms=backlog.vms_to_fill([place.offer]))
    if place.jobs:
        return Reason.of(ReasonCode.DEMAND_COVERED, jobs=place.jobs)
    return Reason.of(ReasonCode.NO_MATCHING_JOBS)


def _rule(entry: PodPlan) -> Reason | None:
    """Why VMDIRAC's elastic rule lets no VM start; the waiting CPU is that of the start of the tick, not reduced by
    what is planned."""
    minimum = entry.pod.cpu_per_instance
    if not entry.active or entry.waiting_cpu >= minimum * entry.active:
        return None
    return Reason.of(ReasonCode.CPU_PER_INSTANCE, cpu=entry.waiting_cpu, active=entry.active, minimum=minimum)


def _vms_by_rule(entry: PodPlan, at_most: int) -> int:
    """How many VMs the elastic rule alone would still let start, counted no further than ``at_most``."""
    minimum, active, cpu = entry.pod.cpu_per_instance, entry.active, entry.waiting_cpu
    if not at_most or not minimum or cpu >= minimum * (active + at_most - 1):
        return at_most
    return max(0 if active else 1, int(cpu // minimum) - active + 1)
