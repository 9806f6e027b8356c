"""What ``vmdirac validate`` remarks on although it is no mistake: pods that start nothing as things are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.config.problems import Problem
from vmdirac.model.pod import RunningPod
from vmdirac.policy.candidates import build_candidates
from vmdirac.policy.matching import matches
from vmdirac.store import endpoints, queue


def notes(session: Session, configuration: Configuration, now: datetime) -> Iterator[Problem]:
    """A note for each pod that can start nothing, and for jobs that no pod serves."""
    for pod in configuration.pods.values():
        if text := _starts_nothing(pod, configuration, now):
            yield Problem(f"pod {pod.name!r}", text)
    yield from _matching_notes(session, configuration, now)


def _starts_nothing(pod: RunningPod, configuration: Configuration, now: datetime) -> str:
    if pod.max_instances == 0:
        return "its max_instances is 0: it starts no VM"
    if pod.campaign_end is not None and pod.campaign_end < now.date():
        return f"its campaign ended on {pod.campaign_end}: it starts no VM"
    found = [configuration.endpoints[name] for name, _ in pod.endpoints if name in configuration.endpoints]
    if found and all(endpoint.max_instances == 0 for endpoint in found):
        return "max_instances of all its endpoints is 0: it starts no VM"
    return ""


def _matching_notes(session: Session, configuration: Configuration, now: datetime) -> Iterator[Problem]:
    """By what waits in the embedded queue now, and the flavors that are known."""
    waiting = queue.waiting(session)
    candidates, _ = build_candidates(
        configuration.pods.values(), configuration.images, configuration.endpoints, endpoints.shapes(session, now)
    )
    if not waiting or not candidates:
        return
    served: set[int] = set()
    by_pod: dict[str, int] = {}
    for candidate in candidates:
        found = {item.task_queue_id for item in waiting if matches(item.requirements, candidate.offer)}
        served |= found
        by_pod[candidate.pod.name] = by_pod.get(candidate.pod.name, 0) + len(found)
    for name, count in by_pod.items():
        if not count:
            yield Problem(f"pod {name!r}", "it matches none of the jobs that wait now: `vmdirac why job ID` says why")
    unserved = [item for item in waiting if item.task_queue_id not in served]
    if unserved:
        jobs = sum(item.jobs for item in unserved)
        what = f"{jobs} waiting jobs match no pod, job {unserved[0].oldest} for one: `vmdirac why job` says why"
        yield Problem("queue", what)
