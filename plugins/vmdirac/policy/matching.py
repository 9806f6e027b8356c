"""Which jobs an offer can serve: the semantics of DIRAC's task queues.

Source: DIRAC ``WorkloadManagementSystem/DB/TaskQueueDB.py``, as of 2024-10, described field by field in the
documentation page ``docs/matching.md``.
"""

from __future__ import annotations

from enum import StrEnum

from vmdirac.model.requirements import ANY, Offer, Requirements


class Mismatch(StrEnum):
    """The rule that keeps an offer from serving a job."""

    CPU_TIME = "cpu_time"
    PROCESSORS = "processors"
    MEMORY = "memory"
    SITE = "site"
    BANNED_SITE = "banned_site"
    PLATFORM = "platform"
    SUBMIT_POOL = "submit_pool"
    OWNER_GROUP = "owner_group"
    TAGS = "tags"
    REQUIRED_TAGS = "required_tags"


def _accepts(wanted: tuple[str, ...], offered: tuple[str, ...]) -> bool:
    """A multi-value field: no wish, an offer of anything, or one value in common."""
    return not wanted or not offered or ANY in offered or not set(wanted).isdisjoint(offered)


def mismatch(requirements: Requirements, offer: Offer) -> Mismatch | None:
    """The first rule by which ``offer`` cannot serve a job with these requirements; ``None``: it can."""
    rules = (
        (Mismatch.CPU_TIME, requirements.cpu_time <= offer.cpu_time),
        (Mismatch.PROCESSORS, max(1, requirements.processors) <= offer.processors),
        (Mismatch.MEMORY, not offer.memory_mb or requirements.memory_mb <= offer.memory_mb),
        # A ban is checked before the wish: banned always wins.
        (Mismatch.BANNED_SITE, offer.site not in requirements.banned_sites),
        (Mismatch.SITE, _accepts(requirements.sites, (offer.site,))),
        (Mismatch.PLATFORM, _accepts(requirements.platforms, offer.platforms)),
        (Mismatch.SUBMIT_POOL, _accepts(requirements.submit_pools, offer.submit_pools)),
        (Mismatch.OWNER_GROUP, not offer.owner_groups or requirements.owner_group in offer.owner_groups),
        (Mismatch.TAGS, set(requirements.tags) <= set(offer.tags)),
        (Mismatch.REQUIRED_TAGS, set(offer.required_tags) <= set(requirements.tags)),
    )
    return next((name for name, holds in rules if not holds), None)


def matches(requirements: Requirements, offer: Offer) -> bool:
    """Whether ``offer`` can serve a job with these requirements."""
    return mismatch(requirements, offer) is None


def jobs_that_fit(requirements: Requirements, processors: int, memory_mb: int | None) -> int:
    """How many such jobs fit side by side into so many processors and so much memory (``None``: unlimited)."""
    by_processors = processors // max(1, requirements.processors)
    if memory_mb is None or not requirements.memory_mb:
        return by_processors
    return min(by_processors, memory_mb // requirements.memory_mb)
