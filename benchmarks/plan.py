"""The scheduler's plan: CPU time and memory for growing backlogs.

Run in a process of its own, so that the peak of memory is the plan's and not somebody else's.
"""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.measurement import Measurement
from vmdirac.model.demand import Demand
from vmdirac.model.pod import Endpoint, RunningPod
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.policy.place import Candidate
from vmdirac.policy.plan import make_plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUES, PODS, ENDPOINTS, ENDPOINTS_OF_A_POD, JOBS_A_VM = 200, 50, 20, 10, 5
SIZES = (100, 1_000, 10_000, 20_000, 100_000)
TARGET_CPU_SECONDS, TARGET_MEGABYTES = 2.0, 300.0
TARGET_SIZE = 20_000


def world(jobs: int) -> tuple[list[Candidate], Demand]:
    """Pods that each serve the groups of four task queues, on half of the endpoints; every job can run somewhere."""
    endpoints = [Endpoint(f"endpoint-{number}", "local", f"site-{number}", 10**6) for number in range(ENDPOINTS)]
    candidates = []
    for number in range(PODS):
        mine = [endpoints[(number + step) % ENDPOINTS] for step in range(ENDPOINTS_OF_A_POD)]
        offer = Offer(86_400, JOBS_A_VM, 10_000, owner_groups=(f"group-{number}",))
        weights = tuple((endpoint.name, 1.0) for endpoint in mine)
        pod = RunningPod(f"pod-{number}", "image", weights, 10**6, offer)
        candidates += [
            Candidate(pod, endpoint, 1.0, "image", "flavor", replace(offer, site=endpoint.site)) for endpoint in mine
        ]
    queues = tuple(
        TaskQueue(
            str(number),
            Requirements(3_600 + number, owner_group=f"group-{number % PODS}"),
            jobs // QUEUES + (number < jobs % QUEUES),
            priority=float(number % 7),
        )
        for number in range(QUEUES)
    )
    return candidates, Demand(queues, NOW)


def measure() -> Iterator[Measurement]:
    """CPU time for each size, and the peak of memory at the size that there is a target for."""
    for jobs in SIZES:
        candidates, demand = world(jobs)
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
        seconds = time.process_time() - before
        vms = sum(launch.count for launch in plan.launches)
        sizes: dict[str, float | str] = {"jobs": jobs, "task_queues": QUEUES, "pods": PODS, "vms": vms}
        if jobs != TARGET_SIZE:
            yield Measurement(f"plan_{jobs}_jobs", seconds, "s CPU", parameters=sizes)
            continue
        name = f"plan_{jobs}_jobs_{vms}_vms"
        against = f"target of {TARGET_CPU_SECONDS} s"
        yield Measurement(name, seconds, "s CPU", against, seconds / TARGET_CPU_SECONDS, sizes)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        against = f"target of {TARGET_MEGABYTES} MB"
        yield Measurement(f"{name}_rss", megabytes, "MB", against, megabytes / TARGET_MEGABYTES, sizes)
