"""How long instances stay in the phases of their lives, read from their histories: nothing is stored for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Final

from vmdirac.model.phase import Moment, Phase, Stay
from vmdirac.model.states import DrainPhase, InstanceStatus

_BY_STATUS: Final = MappingProxyType(
    {
        InstanceStatus.NEW: Phase.LAUNCH,
        InstanceStatus.SUBMITTED: Phase.BOOT,
        InstanceStatus.WAIT_SSH_CONTEXT: Phase.BOOT,
        InstanceStatus.CONTEXTUALIZING: Phase.CONTEXTUALIZATION,
        InstanceStatus.RUNNING: Phase.RUN,
        InstanceStatus.STALLED: Phase.STALLED,
    }
)

_BY_DRAIN: Final[Mapping[DrainPhase | None, Phase]] = MappingProxyType(
    {
        None: Phase.FORCED,
        DrainPhase.ASKED: Phase.DRAIN_ASKED,
        DrainPhase.ACKNOWLEDGED: Phase.DRAIN_ACKNOWLEDGED,
        DrainPhase.EMPTY: Phase.DRAIN_EMPTY,
        DrainPhase.DELETING: Phase.DELETE,
    }
)


def stays(history: Iterable[Moment]) -> list[Stay]:
    """All stays of an instance, first things first; the last one may not have ended.

    An instance in Error or Halted is in no phase. Lines that change nothing about the phase lengthen the stay.
    """
    found: list[Stay] = []
    for moment in history:
        last = found[-1] if found and found[-1].ended is None else None
        phase = _phase(moment, last)
        if last is not None:
            ended = None if phase is last.phase else moment.at
            found[-1] = Stay(last.phase, last.began, ended, moment.id)
        if phase is not None and (last is None or phase is not last.phase):
            found.append(Stay(phase, moment.at, None, moment.id))
    return found


def _phase(moment: Moment, last: Stay | None) -> Phase | None:
    if moment.status is InstanceStatus.STOPPING:
        return _BY_DRAIN[moment.drain_phase]
    if moment.status is InstanceStatus.WAIT_SSH_CONTEXT and last is not None and last.phase is Phase.CONTEXTUALIZATION:
        # Between two tries it does not boot again.
        return Phase.CONTEXTUALIZATION
    return _BY_STATUS.get(moment.status)


@dataclass(frozen=True, slots=True)
class Spread:
    """How some durations are spread, in seconds: so many per cent of them were not longer than that.

    :param count: how many there are.
    """

    count: int
    p50: float
    p90: float
    p99: float


def spread(seconds: Sequence[float]) -> Spread:
    """The spread of durations, by the nearest rank: each number is one that was seen.

    :raises ValueError: if there are none.
    """
    if not seconds:
        raise ValueError("no durations have no spread")
    ordered = sorted(seconds)

    def percentile(percent: int) -> float:
        return ordered[ceil(len(ordered) * percent / 100) - 1]

    return Spread(len(ordered), percentile(50), percentile(90), percentile(99))
