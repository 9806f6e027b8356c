"""What jobs ask for and what a VM offers them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

ANY = "any"
"""An offered value that switches off the check of its field, as in DIRAC's task queues."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """The needs of one job. Jobs with equal requirements form a task queue.

    :param cpu_time: CPU seconds that the job may use.
    :param processors: processors that it occupies.
    :param memory_mb: memory that it needs, in MB; 0: whatever a processor's share is.
    :param sites: sites that it may run at; empty: any.
    :param banned_sites: sites that it must not run at, whatever ``sites`` says.
    :param platforms: platforms that it can run on; empty: any.
    :param tags: everything that the VM must offer.
    :param owner_group: group of the job's owner.
    :param submit_pools: pools that it may be served from; empty: any.
    """

    cpu_time: int
    processors: int = 1
    memory_mb: int = 0
    sites: tuple[str, ...] = ()
    banned_sites: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    owner_group: str = ""
    submit_pools: tuple[str, ...] = ()

    def normalized(self) -> Requirements:
        """The same needs with every list sorted and free of repetitions, so that equal needs compare equal."""

        def unique(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(sorted(set(values)))

        return Requirements(
            self.cpu_time,
            self.processors,
            self.memory_mb,
            unique(self.sites),
            unique(self.banned_sites),
            unique(self.platforms),
            unique(self.tags),
            self.owner_group,
            unique(self.submit_pools),
        )

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Requirements:
        """What JSON made of ``asdict(requirements)``, with its lists as tuples again."""
        return cls(**_tuples(raw))

    def digest(self) -> str:
        """A key that is the same for equal needs, whatever the order of their lists."""
        text = json.dumps(asdict(self.normalized()), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Offer:
    """What one VM of (pod, image, flavor, endpoint) offers to jobs.

    :param cpu_time: CPU seconds that a job may take on it.
    :param processors: processors, each a slot for a one-processor job.
    :param memory_mb: memory of the whole VM in MB; 0: unknown, and then not checked.
    :param site: the endpoint's site name, or :data:`ANY`.
    :param platforms: platforms that it can run; empty or :data:`ANY`: not checked.
    :param tags: capabilities; a job with a tag that is not among them does not match.
    :param required_tags: tags that a job must carry to be served here.
    :param owner_groups: groups whose jobs are served; empty: all.
    :param submit_pools: pools that it serves; empty or :data:`ANY`: not checked.
    """

    cpu_time: int
    processors: int = 1
    memory_mb: int = 0
    site: str = ANY
    platforms: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    required_tags: tuple[str, ...] = ()
    owner_groups: tuple[str, ...] = ()
    submit_pools: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Offer:
        """What JSON made of ``asdict(offer)``, with its lists as tuples again."""
        return cls(**_tuples(raw))


def _tuples(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}


@dataclass(frozen=True, slots=True)
class TaskQueue:
    """Waiting jobs with equal requirements.

    :param key: identity of the task queue at its job source.
    :param jobs: how many jobs wait in it.
    :param priority: the highest priority among them; more is sooner.
    """

    key: str
    requirements: Requirements
    jobs: int
    priority: float = 0.0

    @property
    def waiting_cpu(self) -> int:
        """CPU seconds of all its waiting jobs."""
        return self.jobs * self.requirements.cpu_time
