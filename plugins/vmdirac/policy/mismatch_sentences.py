"""Why an offer cannot serve a job, as a sentence with both sides in it."""

from __future__ import annotations

from collections.abc import Collection

from vmdirac.model.requirements import Offer, Requirements
from vmdirac.policy.matching import Mismatch, is_any


def sentence(found: Mismatch, wants: Requirements, offer: Offer) -> str:
    """What the job asks for and what its VMs offer, for the rule that :func:`~vmdirac.policy.matching.mismatch` found
    broken."""
    match found:
        case Mismatch.CPU_TIME:
            return f"the job asks for {wants.cpu_time} s of CPU time, its VMs take jobs of at most {offer.cpu_time} s"
        case Mismatch.PROCESSORS:
            return f"the job needs {wants.processors} processors, its VMs have {offer.processors}"
        case Mismatch.WHOLE_NODE:
            return "the job wants a whole VM, which is not offered"
        case Mismatch.MEMORY:
            most = min(value for value in (offer.max_ram, offer.memory_mb) if value)
            return f"the job needs {wants.memory_mb} MB of memory, its VMs have {most} MB for a job"
        case Mismatch.LIFETIME:
            shortest = wants.shortest_run(offer.processors)
            lives = f"its VMs live for {offer.max_lifetime} s"
            boots = f", of which {offer.boot_time} s are for booting" if offer.boot_time else ""
            return f"the job runs for at least {shortest:.0f} s, {lives}{boots}"
        case Mismatch.BANNED_SITE:
            return f"the job must not run at {offer.site}"
        case Mismatch.SITE:
            return _named("site", wants.sites, (offer.site,))
        case Mismatch.GRID_CE:
            return _named("computing element", wants.grid_ces, offer.grid_ces)
        case Mismatch.PLATFORM:
            return _named("platform", wants.platforms, offer.platforms)
        case Mismatch.JOB_TYPE:
            return _named("job type", wants.job_types, offer.job_types)
        case Mismatch.SUBMIT_POOL:
            return _named("submit pool", wants.submit_pools, offer.submit_pools)
        case Mismatch.PILOT_TYPE:
            return _named("pilot type", wants.pilot_types, offer.pilot_types)
        case Mismatch.GRID_MIDDLEWARE:
            return _named("grid middleware", wants.grid_middlewares, offer.grid_middlewares)
        case Mismatch.SETUP:
            return _served("setup", wants.setup, (offer.setup,))
        case Mismatch.OWNER:
            return _served("owner", wants.owner, offer.owners)
        case Mismatch.OWNER_GROUP:
            return _served("owner group", wants.owner_group, offer.owner_groups)
        case Mismatch.TAGS:
            missing = sorted(set(wants.tags) - set(offer.tags))
            return f"the job needs tags that are not offered: {', '.join(missing)}"
        case Mismatch.REQUIRED_TAGS:
            missing = sorted(set(offer.required_tags) - set(wants.tags))
            return f"only jobs with these tags are served: {', '.join(missing)}"
        case Mismatch.BANNED_BY_OFFER:
            return f"the job names what is banned here: {', '.join(_banned(wants, offer))}"


def _banned(wants: Requirements, offer: Offer) -> list[str]:
    """What the job names and the offer bans."""
    fields = (
        (wants.sites, offer.banned_sites),
        (wants.grid_ces, offer.banned_grid_ces),
        (wants.platforms, offer.banned_platforms),
        (wants.job_types, offer.banned_job_types),
        (wants.tags, offer.banned_tags),
    )
    return sorted({value for named, banned in fields if not is_any(banned) for value in banned if value in named})


def _named(what: str, wanted: Collection[str], offered: Collection[str]) -> str:
    return f"the job names {what} {' or '.join(wanted)}, offered is {' or '.join(offered)}"


def _served(what: str, value: str, offered: Collection[str]) -> str:
    return f"the job's {what} is {value or 'not given'}, served is {' or '.join(offered)}"
