"""Decisions about VMs that a task asked for by itself: which of them it still has, how far they are, when they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from vmdirac.model.instance import Instance
from vmdirac.model.states import BOOTING, LIVE, InstanceStatus

COMES_OR_IS_THERE: Final = LIVE | {InstanceStatus.NEW, InstanceStatus.STALLED}


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a task has of the VMs that it wants.

    :param kept: instances that it goes on with.
    :param missing: the launch tokens of the VMs that are to be started.
    """

    kept: tuple[Instance, ...]
    missing: tuple[str, ...]


def holdings(instances: Iterable[Instance], count: int, token: Callable[[int, int], str]) -> Holdings:
    """What is there already of so many VMs, from earlier tries and from before a crash.

    Each number has VMs one after the other: the first generation, and the next one only when the VM before is gone or
    going. What is there beyond the count, because more were wanted before, is kept too: nothing is forgotten.

    :param instances: all that the task ever asked for.
    :param token: the launch token by number and generation.
    """
    by_token = {instance.launch_token: instance for instance in instances}
    missing: list[str] = []
    for number in range(count):
        generation, last = 1, None
        while (found := by_token.get(token(number, generation))) is not None:
            generation, last = generation + 1, found
        if last is None or last.status not in COMES_OR_IS_THERE:
            missing.append(token(number, generation))
    kept = [instance for instance in by_token.values() if instance.status in COMES_OR_IS_THERE]
    return Holdings(tuple(sorted(kept, key=lambda instance: instance.id)), tuple(missing))


def outlived(instances: Iterable[Instance], now: datetime) -> list[Instance]:
    """VMs of tasks that have lived as long as they were to, or that have been waited for as long. Their tasks may be
    long dead: they are not asked."""
    return [
        instance
        for instance in instances
        if instance.one_off and instance.status in COMES_OR_IS_THERE and instance.seconds_left(now) == 0
    ]


class Target(StrEnum):
    """How far an instance can be waited for."""

    SUBMITTED = "Submitted"
    RUNNING = "Running"
    HALTED = "Halted"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an instance stands, as far as those who wait for it want to know.

    :param vm_gone: of an instance in Error: there is no VM.
    :param reason: its last error, or else why it ended or is to end; empty: neither.
    """

    id: int
    status: InstanceStatus
    vm_gone: bool
    reason: str

    @property
    def has_no_vm(self) -> bool:
        return self.status is InstanceStatus.HALTED or (self.status is InstanceStatus.ERROR and self.vm_gone)


_REACHED: Final[Mapping[Target, frozenset[InstanceStatus]]] = {
    Target.SUBMITTED: LIVE | {InstanceStatus.STALLED},
    Target.RUNNING: frozenset({InstanceStatus.RUNNING}),
}
_ON_THE_WAY: Final = BOOTING | {InstanceStatus.NEW, InstanceStatus.STALLED}


@dataclass(frozen=True, slots=True)
class Progress:
    """How a wait stands.

    :param waiting: instances that are on their way.
    :param hopeless: a sentence for each that can no longer get there.
    """

    waiting: tuple[int, ...]
    hopeless: tuple[str, ...]


def progress(ids: Iterable[int], standings: Mapping[int, Standing], target: Target) -> Progress:
    """How these instances stand on their way to a target."""
    waiting: list[int] = []
    hopeless: list[str] = []
    for id_ in ids:
        found = standings.get(id_)
        if found is None:
            hopeless.append(f"there is no instance {id_}")
        elif target is Target.HALTED:
            if not found.has_no_vm:
                waiting.append(id_)
        elif found.status in _REACHED[target]:
            continue
        elif found.status in _ON_THE_WAY:
            waiting.append(id_)
        else:
            hopeless.append(f"instance {id_} is {found.status}: {found.reason}")
    return Progress(tuple(waiting), tuple(hopeless))
