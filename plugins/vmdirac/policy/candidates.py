"""Which (pod, endpoint) pairs can be planned at all, and with what offer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from vmdirac.model.cloud import Shape
from vmdirac.model.pod import Deadlines, Endpoint, Image, RunningPod
from vmdirac.model.requirements import Offer
from vmdirac.model.ssh import SshAccess
from vmdirac.policy.matching import is_any
from vmdirac.policy.place import Candidate
from vmdirac.policy.plan import Invalid

READS_METADATA_WITHOUT_SESSION: Final = frozenset({"amiconfig"})
"""Context methods whose images are older than EC2's IMDSv2."""


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
    bad_images: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Candidate], list[Invalid]]:
    """Pair pods with their endpoints; pairs that cannot be planned as things are come back as invalid: those whose
    flavor is of unknown shape, those whose image is in Error, and those whose tags no job can match.

    Pairs whose image or endpoint is missing are left out: whoever read the configuration has reported them.

    :param bad_images: why images are in Error, by name.
    """
    candidates: list[Candidate] = []
    invalid: list[Invalid] = []
    for pod in pods:
        image = images.get(pod.image)
        for name, weight in pod.endpoints:
            endpoint = endpoints.get(name)
            source = image.on(name) if image is not None else None
            if endpoint is None or image is None or source is None:
                continue
            if image.name in bad_images:
                message = (
                    f"image {image.name!r} is in Error: {bad_images[image.name]}; change its definition, or"
                    f" `vmdirac reset image {image.name}`"
                )
                invalid.append(Invalid(pod.name, name, message))
                continue
            shape = shapes.get((name, source.flavor))
            if shape is None:
                message = f"how many processors flavor {source.flavor!r} has is not known: the cloud did not tell"
                invalid.append(Invalid(pod.name, name, message))
                continue
            offer = offer_of(pod, image, endpoint, shape)
            if message := serves_nothing(offer):
                invalid.append(Invalid(pod.name, name, message))
                continue
            candidates.append(
                Candidate(
                    pod,
                    endpoint,
                    weight * endpoint.weight,
                    source.boot_image,
                    source.flavor,
                    shape,
                    offer,
                    max_price_of(pod, image),
                    revision_of(pod, image, endpoint),
                    ssh_of(pod, image),
                    image.context_method in READS_METADATA_WITHOUT_SESSION,
                )
            )
    return candidates, invalid


def offer_of(pod: RunningPod, image: Image, endpoint: Endpoint, shape: Shape) -> Offer:
    """What a VM of these offers to jobs: what the pod says comes before what the endpoint says, and that before the
    flavor; of tags it has both."""
    mine, its = pod.traits, endpoint.traits
    whole_node = mine.whole_node if mine.whole_node is not None else its.whole_node is not False
    deadlines = Deadlines.resolve(endpoint.deadlines, image.deadlines, pod.deadlines)
    lifetime = math.ceil(deadlines.lifetime.total_seconds()) if deadlines.lifetime is not None else 0
    return replace(
        pod.offer,
        site=endpoint.site,
        grid_ces=pod.offer.grid_ces or (endpoint.name,),
        platforms=mine.platforms or its.platforms,
        tags=_union(mine.tags, its.tags),
        required_tags=_union(mine.required_tags, its.required_tags),
        processors=mine.processors or its.processors or shape.processors,
        memory_mb=shape.memory_mb,
        max_ram=mine.max_ram or its.max_ram or 0,
        whole_node=whole_node,
        max_lifetime=lifetime,
        # Short lives, of tests for instance, are not all spent on booting.
        boot_time=min(math.ceil(deadlines.boot.total_seconds()), lifetime // 2),
    )


def max_price_of(pod: RunningPod, image: Image) -> float | None:
    """What one VM an hour may cost; ``None``: whatever it costs."""
    return pod.max_allowed_price if pod.max_allowed_price is not None else image.max_allowed_price


def ssh_of(pod: RunningPod, image: Image) -> SshAccess | None:
    """How its VMs are reached over ssh, with the pod's own key if it has one; ``None``: they are not."""
    if image.ssh is None or not pod.ssh_connection:
        return image.ssh
    return replace(image.ssh, connection=pod.ssh_connection)


def serves_nothing(offer: Offer) -> str:
    """Why no job whatever matches the offer, which is put together of what the pod and the endpoint say; empty: some
    may."""
    required = set() if is_any(offer.required_tags) else set(offer.required_tags)
    if not is_any(offer.tags) and (missing := sorted(required - set(offer.tags))):
        return f"no job can match: it must carry tags that its VMs do not offer: {', '.join(missing)}"
    if not is_any(offer.banned_tags) and (both := sorted(required & set(offer.banned_tags))):
        return f"no job can match: tags that it must carry and must not carry: {', '.join(both)}"
    return ""


def _union(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*left, *right]))


def revision_of(pod: RunningPod, image: Image, endpoint: Endpoint) -> str:
    """Changes with the configuration of any of them; empty if none of them has a revision."""
    parts = [pod.revision, image.revision, endpoint.revision]
    return sha256(" ".join(parts).encode()).hexdigest()[:16] if any(parts) else ""
