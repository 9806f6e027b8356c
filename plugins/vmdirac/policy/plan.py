"""The scheduler's decision: how many VMs of which running pod to start where.

Everything here is counted in one pass over what the caller read inside one locked transaction, so that two schedulers
at once cannot exceed a limit. The order of steps matters: existing and booting VMs are given jobs first, then pods
are served by priority, and each VM planned takes its jobs out of the backlog before the next one is thought of.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold
from vmdirac.model.instance import Instance
from vmdirac.model.pod import RunningPod
from vmdirac.model.states import ACTIVE, InstanceStatus, VmPolicy, VmStopPolicy
from vmdirac.policy import holds as hold_policy
from vmdirac.policy.limits import Counts
from vmdirac.policy.place import Candidate, Place, best, waiting_cpu
from vmdirac.policy.supply import Backlog

__all__ = ["Candidate", "Invalid", "Plan", "PlannedLaunch", "make_plan"]


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
class _PodPlan:
    """One pod while the plan is being made.

    :param active: its instances in New or a live state, also on endpoints that it names no more or that are in error.
    """

    pod: RunningPod
    active: int
    places: list[Place]


@dataclass(slots=True)
class _Planner:
    """What all pods share while the plan is being made."""

    backlog: Backlog
    counts: Counts
    rng: random.Random

    def start_one(self, place: Place) -> None:
        """Plan one VM; it takes the jobs that fit into it out of the backlog."""
        self.backlog.fill(place.offer, place.offer.processors, place.offer.memory_mb or None)
        self.counts.add(place.candidate.pod, place.endpoint)
        place.planned += 1


def make_plan(
    *,
    candidates: Sequence[Candidate],
    invalid: Sequence[Invalid],
    instances: Sequence[Instance],
    demand: Demand,
    holds: Sequence[Hold],
    hearing_since: datetime | None,
    now: datetime,
    rng: random.Random,
) -> Plan:
    """Decide what to start now.

    :param candidates: every (pod, endpoint) that can be planned; all of a pod's share one :class:`RunningPod`.
    :param invalid: those that cannot, and why: they only get a decision.
    :param instances: all rows that are not Halted, of all pods and endpoints.
    :param hearing_since: since when VMs can call in; ``None``: they cannot now.
    :param rng: decides between equals, and nothing else.
    """
    backlog = Backlog(demand.task_queues, [item.offer for item in candidates])
    _give_jobs_to_existing_vms(backlog, instances, hearing_since, now)
    planner = _Planner(backlog, Counts.of(instances), rng)
    decisions = [
        Decision(bad.pod, bad.endpoint, 0, 0, 0, 0, 0, 0, (Reason.of(ReasonCode.INVALID, message=bad.message),))
        for bad in invalid
    ]
    launches: list[PlannedLaunch] = []
    for entry in _pods_in_order(candidates, backlog, instances, holds, now, rng):
        warranted = _plan_pod(entry, planner, now)
        for place in entry.places:
            if place.planned:
                launches.append(PlannedLaunch(place.candidate, place.planned))
            decisions.append(place.decision(warranted))
    return Plan(tuple(launches), tuple(decisions))


def _give_jobs_to_existing_vms(
    backlog: Backlog, instances: Sequence[Instance], hearing_since: datetime | None, now: datetime
) -> None:
    able = [item for item in instances if item.free_processors and not _is_silent(item, hearing_since, now)]
    # Those that can do least choose first, or a VM that could have done something else takes their jobs.
    for item in sorted(able, key=lambda item: (len(backlog.matching(item.offer)), item.id)):
        backlog.fill(item.offer, item.free_processors, item.free_memory_mb)


def _is_silent(instance: Instance, hearing_since: datetime | None, now: datetime) -> bool:
    """Whether it should have called in by now: it may be dead, and jobs must not wait until that is sure. While or
    right after VMs could not reach us, none should have."""
    if instance.status is not InstanceStatus.RUNNING or hearing_since is None:
        return False
    had_its_chance = now - hearing_since > timedelta(seconds=3 * instance.heartbeat_period)
    return had_its_chance and not instance.recently_heard(now)


def _pods_in_order(
    candidates: Sequence[Candidate],
    backlog: Backlog,
    instances: Sequence[Instance],
    holds: Sequence[Hold],
    now: datetime,
    rng: random.Random,
) -> list[_PodPlan]:
    """Pods by priority, then by waiting work, then by lot."""
    active = [item for item in instances if item.status in ACTIVE]
    by_pod = Counter(item.pod for item in active)
    by_place = Counter((item.pod, item.endpoint) for item in active)
    flying = Counter((item.pod, item.endpoint) for item in active if item.status is not InstanceStatus.RUNNING)
    pods: dict[str, _PodPlan] = {}
    # By name, so that the lot falls the same way in whatever order they were configured.
    for item in sorted(candidates, key=lambda item: (item.pod.name, item.endpoint.name)):
        key = (item.pod.name, item.endpoint.name)
        scope = {"endpoint": item.endpoint.name, "pod": item.pod.name, "flavor": item.flavor}
        place = Place(
            candidate=item,
            queues=backlog.matching(item.offer),
            score=hold_policy.score(holds, now=now, **scope),
            hold=hold_policy.blocking(holds, now=now, **scope),
            active=by_place[key],
            in_flight=flying[key],
        )
        pods.setdefault(item.pod.name, _PodPlan(item.pod, by_pod[item.pod.name], [])).places.append(place)
    ordered = list(pods.values())
    rng.shuffle(ordered)
    return sorted(ordered, key=lambda entry: (-entry.pod.priority, -waiting_cpu(entry.places)))


def _plan_pod(entry: _PodPlan, planner: _Planner, now: datetime) -> int:
    """Plan one pod: fills each place's ``planned`` and ``reasons``; returns the VMs it was worth before limits."""
    pod = entry.pod
    if not pod.in_campaign(now.date()):
        reason = Reason.of(
            ReasonCode.UNACTIVE,
            start=str(pod.campaign_start or "ever"),
            end=str(pod.campaign_end or "ever"),
        )
        for place in entry.places:
            place.reasons.append(reason)
        return 0
    usable = []
    for place in entry.places:
        if place.hold is None:
            usable.append(place)
        else:
            place.reasons.append(_held(place.hold))
    _fill_static([place for place in usable if place.endpoint.vm_policy is VmPolicy.STATIC], pod, planner)
    elastic = [place for place in usable if place.endpoint.vm_policy is VmPolicy.ELASTIC]
    return _follow_demand(entry, elastic, planner)


def _held(hold: Hold) -> Reason:
    until = hold.until.isoformat(timespec="seconds")
    return Reason.of(ReasonCode.HELD, until=until, kind=str(hold.kind), message=hold.message)


def _fill_static(places: Sequence[Place], pod: RunningPod, planner: _Planner) -> None:
    """Static endpoints are filled while at least one matching job waits, or always when they never stop."""
    open_places = []
    for place in places:
        if place.jobs or place.endpoint.vm_stop_policy is VmStopPolicy.NEVER:
            open_places.append(place)
        else:
            place.reasons.append(Reason.of(ReasonCode.NO_MATCHING_JOBS))
    # One VM after the other: where the pod's limit is reached before all are full, each has its share.
    while open_places:
        place = best(open_places, planner.rng)
        limit = planner.counts.pod_limit(pod) or planner.counts.endpoint_limit(place.endpoint)
        if limit is None:
            planner.start_one(place)
            continue
        open_places.remove(place)
        if place.planned:
            always = place.endpoint.vm_stop_policy is VmStopPolicy.NEVER
            code = ReasonCode.KEPT_FILLED if always else ReasonCode.STATIC_FILL
            place.reasons.append(Reason.of(code, vms=place.planned, limit=place.endpoint.max_instances))
        place.reasons.append(limit)


def _follow_demand(entry: _PodPlan, elastic: Sequence[Place], planner: _Planner) -> int:
    """Elastic endpoints: one VM after the other while jobs are left, the elastic rule holds, and there is room."""
    pod, backlog, counts = entry.pod, planner.backlog, planner.counts
    cpu = waiting_cpu(entry.places)
    filled = sum(place.planned for place in entry.places)
    active = entry.active + filled
    by_jobs = backlog.vms_to_fill([place.offer for place in elastic])
    warranted = filled + min(by_jobs, _vms_by_rule(pod, cpu, active, by_jobs))
    for place in elastic:
        place.reasons.append(_demand(place, backlog))
    open_places = [place for place in elastic if backlog.left(place.offer)]
    while open_places:
        held_back = _rule(pod, cpu, active) or counts.pod_limit(pod)
        if held_back:
            for place in open_places:
                if backlog.left(place.offer):
                    place.reasons.append(held_back)
                else:
                    _served_elsewhere(place)
            break
        place = best(open_places, planner.rng)
        if not backlog.left(place.offer):
            _served_elsewhere(place)
            open_places.remove(place)
        elif limit := counts.endpoint_limit(place.endpoint):
            place.reasons.append(limit)
            open_places.remove(place)
        else:
            planner.start_one(place)
            active += 1
    return max(warranted, sum(place.planned for place in entry.places))


def _demand(place: Place, backlog: Backlog) -> Reason:
    left = backlog.left(place.offer)
    if left:
        return Reason.of(ReasonCode.DEMAND, jobs=left, vms=backlog.vms_to_fill([place.offer]))
    if place.jobs:
        return Reason.of(ReasonCode.DEMAND_COVERED, jobs=place.jobs)
    return Reason.of(ReasonCode.NO_MATCHING_JOBS)


def _served_elsewhere(place: Place) -> None:
    if not place.planned:
        place.reasons.append(Reason.of(ReasonCode.SERVED_ELSEWHERE))


def _rule(pod: RunningPod, cpu: int, active: int) -> Reason | None:
    """Why VMDIRAC's elastic rule lets no VM start; the waiting CPU is that of the start of the tick, not reduced by
    what is planned."""
    if not active or cpu >= pod.cpu_per_instance * active:
        return None
    return Reason.of(ReasonCode.CPU_PER_INSTANCE, cpu=cpu, active=active, minimum=pod.cpu_per_instance)


def _vms_by_rule(pod: RunningPod, cpu: int, active: int, at_most: int) -> int:
    """How many VMs the elastic rule alone would still let start, counted no further than ``at_most``."""
    if not at_most or _rule(pod, cpu, active + at_most - 1) is None:
        return at_most
    return max(0 if active else 1, int(cpu // pod.cpu_per_instance) - active + 1)
