"""Whether so many VMs fell silent together that it is probably us, or the network between us and them.

VMs die one by one. Where a fifth of them stops calling within minutes, something that they share has failed, and to
replace them all would only repeat it (as Kubernetes' node controller stops evicting from a zone that looks down as a
whole: ``--unhealthy-zone-threshold``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus

WINDOW: Final = timedelta(minutes=10)
"""Calls that end within so long of each other ended together."""

ALARM_ABOVE: Final = 2
"""So few are never a mass, however small the fleet is."""

ALARM_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class MassSilence:
    """So many VMs that stopped calling together.

    :param silent: how many did.
    :param calling: how many were calling when the first of them stopped.
    :param since: the last call of the first of them.
    """

    silent: int
    calling: int
    since: datetime


@dataclass(frozen=True, slots=True)
class MassSilences:
    """Where VMs fell silent together.

    :param everywhere: of all endpoints taken together; ``None``: no more than VMs do.
    :param endpoints: those of which it is true by themselves.
    """

    everywhere: MassSilence | None = None
    endpoints: Mapping[str, MassSilence] = field(default_factory=dict)

    def holds(self, endpoint: str) -> bool:
        """Whether no VM of the endpoint is to be judged by its silence now."""
        return self.everywhere is not None or endpoint in self.endpoints


NO_MASS: Final = MassSilences()


def mass_silences(
    instances: Iterable[Instance], ended: Mapping[str, Sequence[datetime]], hearing_since: datetime, now: datetime
) -> MassSilences:
    """Look for them among the VMs that are expected to call.

    It is over when the VMs call again, or are gone, or somebody has stopped them by force.

    :param ended: last calls of VMs that have ended meanwhile, by endpoint: a fleet that becomes smaller does not make
        more of the few that had fallen silent in it.
    :param hearing_since: since when VMs can reach the manager: before that, none could call.
    """
    expected: dict[str, list[Instance]] = defaultdict(list)
    for item in instances:
        if _is_expected_to_call(item):
            expected[item.endpoint].append(item)
    endpoints = {
        endpoint: found
        for endpoint, items in sorted(expected.items())
        if (found := _mass(items, ended.get(endpoint, ()), hearing_since, now)) is not None
    }
    # An endpoint that is silent by itself says nothing of the others.
    rest = [endpoint for endpoint in expected if endpoint not in endpoints]
    together = [item for endpoint in rest for item in expected[endpoint]]
    ended_there = [last for endpoint in rest for last in ended.get(endpoint, ())]
    everywhere = _mass(together, ended_there, hearing_since, now) if len(rest) > 1 else None
    return MassSilences(everywhere, endpoints)


def too_soon_to_tell(instances: Iterable[Instance], hearing_since: datetime, now: datetime) -> set[int]:
    """VMs that have been silent for so short that others that fell silent with them may not be seen to be yet: calls of
    a fleet are spread over a period, and a sweep comes when it comes."""
    return {
        item.id
        for item in instances
        if item.heard_at is not None
        and item.is_silent(now, hearing_since)
        and now - item.heard_at <= timedelta(seconds=5 * item.heartbeat_period)
    }


def _is_expected_to_call(item: Instance) -> bool:
    if item.heard_at is None or item.halting_at is not None:
        return False
    # Whose deletion has begun is told to halt, or is off already.
    going = item.status is InstanceStatus.STOPPING and not item.forced and item.drain_phase is not DrainPhase.DELETING
    return going or item.status in {InstanceStatus.RUNNING, InstanceStatus.STALLED}


def _mass(
    expected: Sequence[Instance], ended: Sequence[datetime], hearing_since: datetime, now: datetime
) -> MassSilence | None:
    """The first mass among them."""
    last_calls = [(item.heard_at, item.is_silent(now, hearing_since)) for item in expected if item.heard_at is not None]
    silences = sorted(last for last, silent in last_calls if silent)
    end = 0
    for start, first in enumerate(silences):
        while end < len(silences) and silences[end] - first <= WINDOW:
            end += 1
        together = end - start
        # Those that were silent before it began did not take part in it.
        calling = sum(last >= first for last, _ in last_calls) + sum(last >= first for last in ended)
        if together > max(ALARM_ABOVE, ALARM_SHARE * calling):
            return MassSilence(together, calling, first)
    return None
