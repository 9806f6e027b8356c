"""The scheduler's decision: how many VMs of which running pod to start where.

Everything here is counted in one pass over what the caller read inside one locked transaction, so that two schedulers
at once cannot exceed a limit. The order of steps matters: existing and booting VMs are given jobs first, then pods
are served by priority, and each VM planned takes its jobs out of the backlog before the next one is thought of.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from types import MappingProxyType

from vmdirac.model.account import AccountLimit
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold
from vmdirac.model.instance import Instance
from vmdirac.model.states import ACTIVE, InstanceStatus
from vmdirac.policy import holds as hold_policy
from vmdirac.policy.drain import wanted_back
from vmdirac.policy.fill import Order, Planner, fill_static, follow_demand, start_as_asked
from vmdirac.policy.limits import Counts
from vmdirac.policy.mass_silence import NO_MASS, MassSilences
from vmdirac.policy.place import Candidate, Place, PodPlan, draw_lots, waiting_cpu
from vmdirac.policy.supply import Backlog, give_jobs_to_existing_vms

__all__ = ["Candidate", "Invalid", "Order", "Plan", "PlannedLaunch", "make_plan"]


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
    """What one tick wants: launches, and a decision for every (pod, endpoint) whether or not anything starts.

    :param taken_back: VMs that drain, and that are to go on because there is work for them again.
    """

    launches: tuple[PlannedLaunch, ...]
    decisions: tuple[Decision, ...]
    taken_back: tuple[Instance, ...] = ()


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
    recent_launches: Mapping[str, int] = MappingProxyType({}),
    account: Mapping[str, Sequence[AccountLimit]] = MappingProxyType({}),
    masses: MassSilences = NO_MASS,
    order: Order | None = None,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Plan:
    """Decide what to start now.

    :param candidates: every (pod, endpoint) that can be planned; all of a pod's share one :class:`RunningPod`.
    :param invalid: those that cannot, and why: they only get a decision.
    :param instances: all rows that are not Halted, of all pods and endpoints.
    :param hearing_since: since when VMs can call in; ``None``: they cannot now.
    :param rng: decides between equals, and nothing else.
    :param recent_launches: VMs started within its launch window, for each endpoint that has one.
    :param account: limits of the endpoints' accounts, where their clouds tell them.
    :param masses: where VMs fell silent together; they are not replaced.
    :param order: what somebody asked for by hand, in place of what the demand asks for; ``None``: nobody did.
    :param out_of_time: asked before each VM; once it says yes, the plan is what has been planned by then.
    """
    backlog = Backlog(demand.task_queues, [item.offer for item in candidates])
    give_jobs_to_existing_vms(backlog, instances, hearing_since, now, masses)
    back = wanted_back(instances, backlog, {item.pod.name: item.pod for item in candidates}, now)
    ids_back = {item.id for item in back}
    instances = [replace(item, status=InstanceStatus.RUNNING) if item.id in ids_back else item for item in instances]
    pods = _pods(candidates, backlog, instances, holds, now, rng)
    _explain_taken_back(pods, back)
    shapes = {(item.endpoint.name, item.flavor): item.shape for item in candidates}
    counts = Counts.of(instances, recent_launches, shapes, account)
    planner = Planner(backlog, counts, _probes(pods, instances), out_of_time)
    decisions = [
        Decision(bad.pod, bad.endpoint, 0, 0, 0, 0, 0, 0, (Reason.of(ReasonCode.INVALID, message=bad.message),))
        for bad in invalid
        if order is None or bad.pod == order.pod
    ]
    if order is not None:
        pods = [entry for entry in pods if entry.pod.name == order.pod]
    for _, equals in groupby(pods, key=lambda entry: entry.pod.priority):
        _plan_equals(list(equals), planner, order, now)
    decisions += [place.decision(entry.warranted) for entry in pods for place in entry.places]
    launches = [
        PlannedLaunch(place.candidate, place.planned) for entry in pods for place in entry.places if place.planned
    ]
    return Plan(tuple(launches), tuple(decisions), tuple(back))


def _explain_taken_back(pods: Iterable[PodPlan], back: Sequence[Instance]) -> None:
    vms = Counter((item.pod, item.endpoint) for item in back)
    for entry in pods:
        for place in entry.places:
            if count := vms[entry.pod.name, place.endpoint.name]:
                place.reasons.append(Reason.of(ReasonCode.TAKEN_BACK, vms=count))


def _pods(
    candidates: Sequence[Candidate],
    backlog: Backlog,
    instances: Sequence[Instance],
    holds: Sequence[Hold],
    now: datetime,
    rng: random.Random,
) -> list[PodPlan]:
    """Pods with their places, those of the highest priority first, by name among equals."""
    active = [item for item in instances if item.status in ACTIVE]
    by_pod = Counter(item.pod for item in active)
    by_place = Counter((item.pod, item.endpoint) for item in active)
    flying = Counter((item.pod, item.endpoint) for item in active if item.status is not InstanceStatus.RUNNING)
    holds_of: dict[str, list[Hold]] = defaultdict(list)
    for hold in holds:
        holds_of[hold.endpoint].append(hold)
    pods: dict[str, PodPlan] = {}
    for item in sorted(candidates, key=lambda item: (item.pod.name, item.endpoint.name)):
        key, here = (item.pod.name, item.endpoint.name), holds_of[item.endpoint.name]
        place = Place(
            candidate=item,
            queues=backlog.matching(item.offer),
            score=hold_policy.score(here, item.scope, now),
            hold=hold_policy.blocking(here, item.scope, now),
            probes=hold_policy.run_out(here, item.scope, now),
            active=by_place[key],
            in_flight=flying[key],
        )
        pods.setdefault(item.pod.name, PodPlan(item.pod, by_pod[item.pod.name], [])).places.append(place)
    for entry in pods.values():
        entry.waiting_cpu = waiting_cpu(entry.places)
    draw_lots((place for entry in pods.values() for place in entry.places), rng)
    return sorted(pods.values(), key=lambda entry: -entry.pod.priority)


def _probes(pods: Iterable[PodPlan], instances: Iterable[Instance]) -> Counter[Hold]:
    """For each hold that is to be probed: how many instances are doing so already."""
    probed = {hold for entry in pods for place in entry.places for hold in place.probes}
    if not probed:
        return Counter()
    return Counter(hold for hold in probed for item in instances if hold_policy.is_probing(item, hold))


def _plan_equals(entries: Sequence[PodPlan], planner: Planner, order: Order | None, now: datetime) -> None:
    """Plan pods of equal priority together, so that none of them takes what another one could have had as well."""
    active = []
    for entry in entries:
        pod = entry.pod
        if pod.in_campaign(now.date()):
            active.append(entry)
            continue
        start, end = str(pod.campaign_start or "ever"), str(pod.campaign_end or "ever")
        for place in entry.places:
            place.reasons.append(Reason.of(ReasonCode.UNACTIVE, start=start, end=end))
    for entry in active:
        for place in entry.places:
            if place.hold is not None:
                place.reasons.append(_held(place.hold))
    if order is not None and order.vms is not None:
        for entry in active:
            start_as_asked(entry, order.vms, planner)
        return
    fill_static(active, planner)
    follow_demand(active, planner)


def _held(hold: Hold) -> Reason:
    until = hold.until.isoformat(timespec="seconds")
    return Reason.of(ReasonCode.HELD, until=until, kind=str(hold.kind), message=hold.message)
