"""Which (pod, endpoint) pairs can be planned at all, and with what offer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from vmdirac.model.cloud import Shape
from vmdirac.model.pod import Endpoint, Image, RunningPod
from vmdirac.policy.plan import Candidate, Invalid


def flavors_in_use(
    pods: Iterable[RunningPod], images: Mapping[str, Image], endpoints: Mapping[str, Endpoint]
) -> set[tuple[str, str]]:
    """The (endpoint, flavor) pairs whose shape must be known."""
    found = set()
    for pod in pods:
        image = images.get(pod.image)
        for name, _ in pod.endpoints:
            source = image.on(name) if image is not None and name in endpoints else None
            if source is not None:
                found.add((name, source.flavor))
    return found


def build_candidates(
    pods: Iterable[RunningPod],
    images: Mapping[str, Image],
    endpoints: Mapping[str, Endpoint],
    shapes: Mapping[tuple[str, str], Shape],
) -> tuple[list[Candidate], list[Invalid]]:
    """Pair pods with their endpoints; pairs whose flavor is of unknown shape come back as invalid.

    Pairs whose image or endpoint is missing are left out: whoever read the configuration has reported them.
    """
    candidates: list[Candidate] = []
    invalid: list[Invalid] = []
    for pod in pods:
        image = images.get(pod.image)
        for name, weight in pod.endpoints:
            endpoint = endpoints.get(name)
            source = image.on(name) if image is not None else None
            if endpoint is None or source is None:
                continue
            shape = shapes.get((name, source.flavor))
            if shape is None:
                message = f"how many processors flavor {source.flavor!r} has is not known: the cloud did not tell"
                invalid.append(Invalid(pod.name, name, message))
                continue
            offer = replace(pod.offer, site=endpoint.site, processors=shape.processors, memory_mb=shape.memory_mb)
            candidates.append(
                Candidate(pod, endpoint, weight * endpoint.weight, source.boot_image, source.flavor, offer)
            )
    return candidates, invalid
