"""The scheduler's plan: CPU time and memory for growing backlogs.

Run in a process of its own, so that the peak of memory is the plan's and not somebody else's.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from benchmarks.measurement import Measurement
from vmdirac.model.cloud import Shape
from vmdirac.model.demand import Demand
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.policy.place import Candidate
from vmdirac.policy.plan import make_plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOBS_A_VM = 5
SHAPE = Shape(JOBS_A_VM, 10_000)
SIZES = (100, 1_000, 10_000, 20_000, 100_000)
TARGET_CPU_SECONDS, TARGET_MEGABYTES = 2.0, 300.0


@dataclass(frozen=True, slots=True)
class Size:
    """How large the world is that a plan is made for. Each pod runs on half of the endpoints."""

    jobs: int = 20_000
    task_queues: int = 200
    pods: int = 50
    endpoints: int = 20


TARGET = Size()
LARGER = {
    "plan_400_task_queues": Size(task_queues=400),
    "plan_100_pods": Size(pods=100),
    "plan_40_endpoints": Size(endpoints=40),
}
"""Each has twice as much of something as the target: linear growth is at most twice its time."""


def world(size: Size) -> tuple[list[Candidate], Demand]:
    """Pods that each serve the groups of a few task queues; every job can run somewhere."""
    endpoints = [Endpoint(f"endpoint-{number}", "local", f"site-{number}", 10**6) for number in range(size.endpoints)]
    candidates = []
    for number in range(size.pods):
        mine = [endpoints[(number + step) % size.endpoints] for step in range(size.endpoints // 2)]
        offer = Offer(86_400, JOBS_A_VM, 10_000, owner_groups=(f"group-{number}",))
        weights = tuple((endpoint.name, 1.0) for endpoint in mine)
        pod = RunningPod(f"pod-{number}", "image", weights, 10**6, offer)
        candidates += [
            Candidate(pod, endpoint, 1.0, "image", "flavor", SHAPE, replace(offer, site=endpoint.site))
            for endpoint in mine
        ]
    queues = tuple(
        TaskQueue(
            str(number),
            Requirements(3_600 + number, owner_group=f"group-{number % size.pods}"),
            size.jobs // size.task_queues + (number < size.jobs % size.task_queues),
            priority=float(number % 7),
        )
        for number in range(size.task_queues)
    )
    return candidates, Demand(queues, NOW)


def planned(size: Size) -> tuple[float, int]:
    """CPU seconds that a plan took, and how many VMs are in it."""
    candidates, demand = world(size)
    before = time.process_time()
    plan = make_plan(
        candidates=candidates,
        invalid=[],
        instances=[],
        demand=demand,
        holds=[],
        hearing_since=NOW,
        now=NOW,
        rng=random.Random(0),  # noqa: S311 - it breaks ties
    )
    return time.process_time() - before, sum(launch.count for launch in plan.launches)


def measure() -> Iterator[Measurement]:
    """CPU time for each size, and the peak of memory at the size that there is a target for."""
    at_target = 0.0
    for jobs in SIZES:
        size = replace(TARGET, jobs=jobs)
        seconds, vms = planned(size)
        parameters: dict[str, float | str] = {**asdict(size), "vms": vms}
        if size != TARGET:
            yield Measurement(f"plan_{jobs}_jobs", seconds, "s CPU", parameters=parameters)
            continue
        at_target = seconds
        name = f"plan_{jobs}_jobs_{vms}_vms"
        against = f"target of {TARGET_CPU_SECONDS} s"
        yield Measurement(name, seconds, "s CPU", against, seconds / TARGET_CPU_SECONDS, parameters)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        against = f"target of {TARGET_MEGABYTES} MB"
        yield Measurement(f"{name}_rss", megabytes, "MB", against, megabytes / TARGET_MEGABYTES, parameters)
    for name, size in LARGER.items():
        seconds, vms = planned(size)
        ratio = seconds / (2 * at_target)
        yield Measurement(name, seconds, "s CPU", "twice the target's size", ratio, {**asdict(size), "vms": vms})
