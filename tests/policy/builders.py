"""Pods, endpoints, instances and queues for tests: with only what the test is about said."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from vmdirac.model.cloud import Shape
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.model.states import InstanceStatus, VmPolicy, VmStopPolicy
from vmdirac.policy.plan import Candidate, Invalid, Plan, make_plan

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


NO_OFFER = Offer(0)
"""Of instances whose offer a test is not about; :func:`plan` takes what their pod offers on their endpoint."""


def pod(name: str = "pod", **values: Any) -> RunningPod:
    """A pod without limits that matter."""
    given: dict[str, Any] = {"image": "image", "endpoints": (), "max_instances": 1000, "offer": Offer(1000)} | values
    return RunningPod(name=name, **given)


def endpoint(name: str = "A", **values: Any) -> Endpoint:
    """An elastic endpoint without limits that matter, at a site of its own name in lower case."""
    given: dict[str, Any] = {"site": name.lower(), "max_instances": 1000} | values
    return Endpoint(name=name, driver="local", **given)


def static(name: str = "A", **values: Any) -> Endpoint:
    return endpoint(name, vm_policy=VmPolicy.STATIC, **values)


def kept(name: str = "A", **values: Any) -> Endpoint:
    """An endpoint that is kept filled whether or not there are jobs."""
    return static(name, vm_stop_policy=VmStopPolicy.NEVER, **values)


def candidate(
    of: RunningPod, on: Endpoint, *, weight: float = 1.0, processors: int = 1, memory_mb: int = 0, **offer: Any
) -> Candidate:
    """The pair, as the pod's offer has it at this endpoint's site."""
    full = replace(of.offer, processors=processors, memory_mb=memory_mb, site=on.site, **offer)
    return Candidate(of, on, weight, "boot image", "flavor", Shape(processors, memory_mb), full)


def queue(jobs: int, *, key: str = "q", cpu_time: int = 100, priority: float = 0.0, **needs: Any) -> TaskQueue:
    return TaskQueue(key, Requirements(cpu_time=cpu_time, **needs), jobs, priority)


def instance(id_: int = 1, status: InstanceStatus = InstanceStatus.RUNNING, **values: Any) -> Instance:
    """An instance of pod "pod" on endpoint "A" that nothing has happened to for an hour."""
    defaults: dict[str, Any] = {
        "version": 1,
        "pod": "pod",
        "image": "image",
        "endpoint": "A",
        "launch_token": f"token-{id_}",
        "created_at": NOW - HOUR,
        "status_since": NOW - HOUR,
        "changed_at": NOW - HOUR,
        "offer": NO_OFFER,
    }
    return Instance(id=id_, status=status, **(defaults | values))


def plan(
    candidates: Sequence[Candidate],
    queues: Iterable[TaskQueue] = (),
    instances: Iterable[Instance] = (),
    *,
    holds: Sequence[Hold] = (),
    invalid: Sequence[Invalid] = (),
    hearing_since: datetime | None = NOW - 24 * HOUR,
    now: datetime = NOW,
    seed: int = 0,
    **more: Any,
) -> Plan:
    """The plan for these."""
    offers = {(item.pod.name, item.endpoint.name): item.offer for item in candidates}

    def as_started(item: Instance) -> Instance:
        """With the offer that it was started for, and, if the test doesn't say when it called in, just now."""
        heard = now if item.status is InstanceStatus.RUNNING else None
        offer = offers.get((item.pod, item.endpoint), NO_OFFER) if item.offer is NO_OFFER else item.offer
        return replace(item, offer=offer, heard_at=item.heard_at or heard)

    return make_plan(
        candidates=candidates,
        invalid=invalid,
        instances=[as_started(item) for item in instances],
        demand=Demand(tuple(queues), now),
        holds=holds,
        hearing_since=hearing_since,
        now=now,
        rng=random.Random(seed),
        **more,
    )


def planned(made: Plan) -> dict[tuple[str, str], int]:
    """VMs to be started by (pod, endpoint); pairs without any are left out."""
    return {(item.candidate.pod.name, item.candidate.endpoint.name): item.count for item in made.launches}


def total(made: Plan) -> int:
    return sum(item.count for item in made.launches)


def launched(
    made: Plan, first_id: int = 1, status: InstanceStatus = InstanceStatus.NEW, **values: Any
) -> list[Instance]:
    """The rows that a plan's reservations become."""
    rows = [item.candidate for item in made.launches for _ in range(item.count)]
    return [
        instance(
            first_id + number,
            status,
            pod=row.pod.name,
            endpoint=row.endpoint.name,
            processors=row.offer.processors,
            memory_mb=row.offer.memory_mb,
            **values,
        )
        for number, row in enumerate(rows)
    ]


def codes(made: Plan, pod_name: str = "pod", endpoint_name: str = "A") -> list[str]:
    """The codes of the reasons for one (pod, endpoint)."""
    [decision] = [item for item in made.decisions if (item.pod, item.endpoint) == (pod_name, endpoint_name)]
    return [reason.code.value for reason in decision.reasons]
