"""What jobs ask for and what a VM offers them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

ANY = "any"
"""An offered value that switches off the check of its field, as in DIRAC's task queues, however it is capitalized."""

WHOLE_NODE_TAG: Final = "WholeNode"
MULTI_PROCESSOR_TAG: Final = "MultiProcessor"
_PROCESSORS_TAG: Final = re.compile(r"([0-9]{1,5})Processors")
_MEMORY_TAG: Final = re.compile(r"([0-9]{1,5})GB")


def is_number_tag(tag: str) -> bool:
    """Whether DIRAC spells a number with this tag; jobs have it as the number that it means."""
    return tag in {WHOLE_NODE_TAG, MULTI_PROCESSOR_TAG} or bool(
        _PROCESSORS_TAG.fullmatch(tag) or _MEMORY_TAG.fullmatch(tag)
    )


@dataclass(frozen=True, slots=True)
class Requirements:
    """The needs of one job. Jobs with equal requirements form a task queue.

    In all the lists but ``tags`` and ``banned_sites`` one value in common with what is offered is enough; empty: any.

    :param cpu_time: CPU seconds that the job may use, of all its processors together.
    :param processors: processors that it occupies.
    :param memory_mb: memory that it needs, in MB; 0: whatever a processor's share is.
    :param whole_node: it occupies all processors of its VM.
    :param sites: sites that it may run at.
    :param banned_sites: sites that it must not run at, whatever ``sites`` says.
    :param grid_ces: computing elements (for us: endpoints) that it may run at.
    :param tags: everything that the VM must offer.
    :param owner: who it is run for; ``owner_group``: in what role; ``setup``: of what installation.
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
    whole_node: bool = False
    owner: str = ""
    setup: str = ""
    grid_ces: tuple[str, ...] = ()
    job_types: tuple[str, ...] = ()
    pilot_types: tuple[str, ...] = ()
    grid_middlewares: tuple[str, ...] = ()

    def normalized(self) -> Requirements:
        """The same needs with every list sorted and free of repetitions, so that equal needs compare equal.

        Tags in which DIRAC spells numbers (``8Processors``, ``MultiProcessor``, ``4GB``, ``WholeNode``; source:
        ``WorkloadManagementSystem/Client/Matcher.py``) become the numbers that they mean.
        """
        lists: dict[str, Any] = {
            field.name: tuple(sorted(set(value)))
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), tuple)
        }
        plain, processors, memory_mb, whole_node = [], self.processors, self.memory_mb, self.whole_node
        for tag in lists.pop("tags"):
            if found := _PROCESSORS_TAG.fullmatch(tag):
                processors = max(processors, int(found[1]))
            elif found := _MEMORY_TAG.fullmatch(tag):
                memory_mb = max(memory_mb, 1000 * int(found[1]))
            elif tag == MULTI_PROCESSOR_TAG:
                processors = max(processors, 2)
            elif tag == WHOLE_NODE_TAG:
                whole_node = True
            else:
                plain.append(tag)
        return replace(
            self, tags=tuple(plain), processors=processors, memory_mb=memory_mb, whole_node=whole_node, **lists
        )

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Requirements:
        """What JSON made of ``asdict(requirements)``, with its lists as tuples again."""
        return cls(**_tuples(raw))

    def digest(self) -> str:
        """A key that is the same for equal needs, whatever the order of their lists. What is not asked for is not in
        it, so that a new kind of need changes no key."""
        asked = {name: value for name, value in asdict(self.normalized()).items() if value}
        text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def processors_of(self, vm_processors: int) -> int:
        """The processors that such a job occupies on a VM that has so many."""
        return vm_processors if self.whole_node else max(1, self.processors)

    def shortest_run(self, vm_processors: int) -> float:
        """Seconds that it takes at least on such a VM: all of its processors used to the full, all the time."""
        return self.cpu_time / max(1, self.processors_of(vm_processors))


@dataclass(frozen=True, slots=True)
class Offer:
    """What one VM of (pod, image, flavor, endpoint) offers to jobs.

    In all the lists: empty or with :data:`ANY` in it: not checked; but a VM without tags takes only jobs without.

    :param cpu_time: CPU seconds that a job may take on it.
    :param processors: processors, each a slot for a one-processor job.
    :param memory_mb: memory of the whole VM in MB; 0: unknown, and then not checked.
    :param max_ram: memory that one job may ask for, in MB; 0: all that the VM has.
    :param whole_node: a job may have the whole VM.
    :param max_lifetime: seconds from its launch after which it is drained; 0: it has no such end.
    :param boot_time: seconds of that life that may pass before it takes its first job.
    :param site: the endpoint's site name, or :data:`ANY`.
    :param tags: capabilities; a job with a tag that is not among them does not match.
    :param required_tags: tags that a job must carry to be served here.
    :param setup: jobs of this installation are served; empty: of any.
    :param banned_sites: jobs that name one of these values are not served; so with the other ``banned_`` lists.
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
    max_ram: int = 0
    whole_node: bool = True
    max_lifetime: int = 0
    boot_time: int = 0
    setup: str = ""
    owners: tuple[str, ...] = ()
    grid_ces: tuple[str, ...] = ()
    job_types: tuple[str, ...] = ()
    pilot_types: tuple[str, ...] = ()
    grid_middlewares: tuple[str, ...] = ()
    banned_sites: tuple[str, ...] = ()
    banned_grid_ces: tuple[str, ...] = ()
    banned_platforms: tuple[str, ...] = ()
    banned_job_types: tuple[str, ...] = ()
    banned_tags: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Offer:
        """What JSON made of ``asdict(offer)``, with its lists as tuples again."""
        return cls(**_tuples(raw))

    def digest(self) -> str:
        """A key of all that is offered."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


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
