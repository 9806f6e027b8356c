"""Which jobs an offer can serve: the semantics of DIRAC's task queues.

Source: DIRAC ``WorkloadManagementSystem/DB/TaskQueueDB.py`` (match) and ``Client/Matcher.py`` (numbers spelled as
tags), described field by field in the documentation page ``docs/matching.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vmdirac.model.requirements import ANY, Offer, Requirements


class Mismatch(StrEnum):
    """The rule that keeps an offer from serving a job."""

    CPU_TIME = "cpu_time"
    PROCESSORS = "processors"
    WHOLE_NODE = "whole_node"
    MEMORY = "memory"
    LIFETIME = "lifetime"
    BANNED_SITE = "banned_site"
    SITE = "site"
    GRID_CE = "grid_ce"
    PLATFORM = "platform"
    JOB_TYPE = "job_type"
    SUBMIT_POOL = "submit_pool"
    PILOT_TYPE = "pilot_type"
    GRID_MIDDLEWARE = "grid_middleware"
    SETUP = "setup"
    OWNER = "owner"
    OWNER_GROUP = "owner_group"
    TAGS = "tags"
    REQUIRED_TAGS = "required_tags"
    BANNED_BY_OFFER = "banned_by_offer"


def is_any(values: Collection[str]) -> bool:
    """Whether one of the values switches the check of its field off."""
    return any(value.lower() == ANY for value in values)


def _accepts(wanted: Collection[str], offered: Collection[str]) -> bool:
    """A multi-value field: no wish, an offer of anything, or one value in common."""
    return not wanted or not offered or not set(wanted).isdisjoint(offered) or is_any(offered)


def _is_one_of(value: str, offered: Collection[str]) -> bool:
    """A single-value field: nothing offered, or just this."""
    return not offered or value in offered or is_any(offered)


def _avoids(named: Collection[str], banned: Collection[str]) -> bool:
    """The bans of an offer: the job names none of the values, whatever else it names."""
    return not banned or is_any(banned) or set(named).isdisjoint(banned)


def mismatch(requirements: Requirements, offer: Offer) -> Mismatch | None:
    """The first rule by which ``offer`` cannot serve a job with these requirements; ``None``: it can."""
    return next((name for name, holds in RULES.items() if not holds(requirements, offer)), None)


def matches(requirements: Requirements, offer: Offer) -> bool:
    """Whether ``offer`` can serve a job with these requirements."""
    return all(holds(requirements, offer) for holds in RULES.values())


def is_short_enough(requirements: Requirements, offer: Offer) -> bool:
    """Those of the rules that look at how long the job runs."""
    return requirements.cpu_time <= offer.cpu_time and _ends_in_its_life(requirements, offer)


def _ends_in_its_life(requirements: Requirements, offer: Offer) -> bool:
    # A job that can only be done by a VM that boots in no time is done by none, however many are started.
    left = offer.max_lifetime - offer.boot_time
    return not offer.max_lifetime or requirements.shortest_run(offer.processors) <= left


def _memory_is_enough(memory_mb: int, offer: Offer) -> bool:
    if offer.max_ram and memory_mb > offer.max_ram:
        return False
    return not offer.memory_mb or memory_mb <= offer.memory_mb


def _is_not_banned(wants: Requirements, offer: Offer) -> bool:
    return (
        _avoids(wants.sites, offer.banned_sites)
        and _avoids(wants.grid_ces, offer.banned_grid_ces)
        and _avoids(wants.platforms, offer.banned_platforms)
        and _avoids(wants.job_types, offer.banned_job_types)
        and _avoids(wants.tags, offer.banned_tags)
    )


RULES: Final[Mapping[Mismatch, Callable[[Requirements, Offer], bool]]] = MappingProxyType(
    {
        Mismatch.CPU_TIME: lambda wants, offer: wants.cpu_time <= offer.cpu_time,
        Mismatch.PROCESSORS: lambda wants, offer: max(1, wants.processors) <= offer.processors,
        Mismatch.WHOLE_NODE: lambda wants, offer: offer.whole_node or not wants.whole_node,
        Mismatch.MEMORY: lambda wants, offer: _memory_is_enough(wants.memory_mb, offer),
        Mismatch.LIFETIME: _ends_in_its_life,
        # A ban is checked before the wish: banned always wins.
        Mismatch.BANNED_SITE: lambda wants, offer: offer.site not in wants.banned_sites,
        Mismatch.SITE: lambda wants, offer: _accepts(wants.sites, (offer.site,)),
        Mismatch.GRID_CE: lambda wants, offer: _accepts(wants.grid_ces, offer.grid_ces),
        Mismatch.PLATFORM: lambda wants, offer: _accepts(wants.platforms, offer.platforms),
        Mismatch.JOB_TYPE: lambda wants, offer: _accepts(wants.job_types, offer.job_types),
        Mismatch.SUBMIT_POOL: lambda wants, offer: _accepts(wants.submit_pools, offer.submit_pools),
        Mismatch.PILOT_TYPE: lambda wants, offer: _accepts(wants.pilot_types, offer.pilot_types),
        Mismatch.GRID_MIDDLEWARE: lambda wants, offer: _accepts(wants.grid_middlewares, offer.grid_middlewares),
        Mismatch.SETUP: lambda wants, offer: not offer.setup or _is_one_of(wants.setup, (offer.setup,)),
        Mismatch.OWNER: lambda wants, offer: _is_one_of(wants.owner, offer.owners),
        Mismatch.OWNER_GROUP: lambda wants, offer: _is_one_of(wants.owner_group, offer.owner_groups),
        Mismatch.TAGS: lambda wants, offer: not wants.tags or set(wants.tags) <= set(offer.tags) or is_any(offer.tags),
        Mismatch.REQUIRED_TAGS: lambda wants, offer: (
            not offer.required_tags or set(offer.required_tags) <= set(wants.tags) or is_any(offer.required_tags)
        ),
        Mismatch.BANNED_BY_OFFER: _is_not_banned,
    }
)
"""What must hold for each name. All of them must."""


def jobs_that_fit(requirements: Requirements, processors: int, memory_mb: int | None, of: int) -> int:
    """How many such jobs fit side by side into so many free processors and so much free memory.

    :param memory_mb: ``None``: unlimited.
    :param of: all processors of the VM.
    """
    by_processors = processors // requirements.processors_of(of)
    if memory_mb is None or not requirements.memory_mb:
        return by_processors
    return min(by_processors, memory_mb // requirements.memory_mb)
