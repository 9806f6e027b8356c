"""How far the VMs that exist already cover the waiting jobs.

A VM that is free or still on its way is given the jobs that it will take before any new VM is thought of, so that N
jobs and five ticks before the first VM boots still give VMs for N jobs and no more (invariant 2).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.mass_silence import NO_MASS, MassSilences
from vmdirac.policy.matching import is_short_enough, jobs_that_fit, matches


class Backlog:
    """Waiting jobs that no VM has been thought of for yet. Kept while one plan is made, and thrown away with it.

    :param offers: what the VMs that can be started offer.
    """

    def __init__(self, task_queues: Iterable[TaskQueue], offers: Iterable[Offer]) -> None:
        queues = list(task_queues)
        # Queues are many that differ in nothing but how long their jobs run: the rest is matched once for all of them.
        self._alike: dict[Requirements, list[TaskQueue]] = defaultdict(list)
        for queue in queues:
            self._alike[replace(queue.requirements, cpu_time=0)].append(queue)
        served = {offer: self._served_by(offer) for offer in set(offers)}
        takers = Counter(queue.key for found in served.values() for queue in found)
        # Jobs that few can do go first, or VMs that could have done them are given what others could do as well, and
        # the next tick would find jobs without a VM again. Then urgent ones; the key makes the order always the same.
        ordered = sorted(queues, key=lambda queue: (takers[queue.key], -queue.priority, queue.key))
        self._left = {queue.key: queue.jobs for queue in ordered}
        self._queues = {queue.key: queue for queue in ordered}
        self._place = {queue.key: number for number, queue in enumerate(ordered)}
        self._matching = {
            offer: sorted(found, key=lambda queue: self._place[queue.key]) for offer, found in served.items()
        }

    def _served_by(self, offer: Offer) -> list[TaskQueue]:
        return [
            queue
            for needs, queues in self._alike.items()
            if matches(needs, offer)
            for queue in queues
            if is_short_enough(queue.requirements, offer)
        ]

    def matching(self, offer: Offer) -> Sequence[TaskQueue]:
        """The task queues that this offer serves, in the order in which they are given to VMs, as they were when the
        plan began."""
        found = self._matching.get(offer)
        if found is None:
            found = sorted(self._served_by(offer), key=lambda queue: self._place[queue.key])
            self._matching[offer] = found
        return found

    def left(self, offer: Offer) -> int:
        """Jobs that this offer serves and that nothing has been thought of for."""
        return sum(self._left[queue.key] for queue in self.matching(offer))

    def fill(self, offer: Offer, processors: int, memory_mb: int | None, seconds_left: float | None = None) -> int:
        """Give jobs to a VM with so much free; the number of jobs given.

        :param seconds_left: how long it still takes jobs: it is given none that cannot end by then. ``None``: no end.
        """
        given = 0
        for queue in self.matching(offer):
            if processors <= 0:
                break
            waiting = self._left[queue.key]
            if not waiting:
                continue
            needs = queue.requirements
            if seconds_left is not None and needs.shortest_run(offer.processors) > seconds_left:
                continue
            taken = min(waiting, jobs_that_fit(needs, processors, memory_mb, offer.processors))
            self._left[queue.key] -= taken
            processors -= taken * needs.processors_of(offer.processors)
            if memory_mb is not None:
                memory_mb -= taken * needs.memory_mb
            given += taken
        return given

    def vms_to_fill(self, offers: Sequence[Offer]) -> int:
        """How many empty VMs of these offers the jobs that are left would fill, without taking them: an estimate that
        counts each job as its part of the VM that takes most of its kind."""
        parts: dict[str, Fraction] = {}
        for offer in offers:
            for queue in self.matching(offer):
                if not self._left[queue.key]:
                    continue
                size, memory_mb = offer.processors, offer.memory_mb or None
                part = Fraction(1, jobs_that_fit(queue.requirements, size, memory_mb, size))
                parts[queue.key] = min(part, parts.get(queue.key, part))
        return math.ceil(sum(self._left[key] * part for key, part in parts.items()))


def give_jobs_to_existing_vms(
    backlog: Backlog,
    instances: Sequence[Instance],
    hearing_since: datetime | None,
    now: datetime,
    masses: MassSilences = NO_MASS,
) -> None:
    """Let VMs that are free, or on their way, have the jobs that they will take.

    :param masses: VMs that fell silent together will call again: replaced, they would be there twice.
    """
    able = [
        item
        for item in instances
        if item.free_processors and (masses.holds(item.endpoint) or not _is_silent(item, hearing_since, now))
    ]
    # Those that can do least choose first, or a VM that could have done something else takes their jobs.
    for item in sorted(able, key=lambda item: (len(backlog.matching(item.offer)), item.id)):
        backlog.fill(item.offer, item.free_processors, item.free_memory_mb, item.seconds_left(now))


def _is_silent(instance: Instance, hearing_since: datetime | None, now: datetime) -> bool:
    """Whether it should have called in by now: it may be dead, and jobs must not wait until that is sure. While or
    right after VMs could not reach us, none should have."""
    return instance.status is InstanceStatus.RUNNING and instance.is_silent(now, hearing_since)
