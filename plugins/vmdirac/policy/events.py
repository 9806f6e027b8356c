"""What happened to an instance that is to be counted, read from its history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

from vmdirac.model.event import Event, EventKind
from vmdirac.model.phase import Moment
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy.phases import stays

GONE: Final = "gone"
"""Why a VM is halted that nobody had stopped: its cloud said that it is gone."""

_MADE = frozenset({InstanceStatus.SUBMITTED, InstanceStatus.WAIT_SSH_CONTEXT})
_LAUNCHES = frozenset(
    {(InstanceStatus.NEW, made) for made in _MADE}
    # Found after all, though its launch had been given up.
    | {(InstanceStatus.ERROR, InstanceStatus.STOPPING)}
)


def events(
    history: Sequence[Moment], new: Collection[int], pod: str, endpoint: str, stop_reason: StopReason | None
) -> list[Event]:
    """The events that the new lines of a history tell.

    :param history: all of it, first things first.
    :param new: ids of those lines of it that have not been counted.
    """
    found: list[Event] = []
    for before, moment in pairwise([None, *history]):
        if moment is not None and moment.id in new and moment.error_kind is not None:
            # What was being deleted before. A line with which the deletion begins tells what the launch came to.
            deleting = before is not None and before.drain_phase is DrainPhase.DELETING
            kind = EventKind.DELETE_FAILURE if deleting else EventKind.LAUNCH_FAILURE
            found.append(Event(kind, moment.at, pod, endpoint, moment.error_kind))
    for before, after in pairwise(history):
        if after.id not in new or after.status is before.status:
            continue
        if (before.status, after.status) in _LAUNCHES:
            found.append(Event(EventKind.LAUNCH, after.at, pod, endpoint))
        # What was never launched had no VM that could be gone.
        elif before.status is not InstanceStatus.NEW and after.status is InstanceStatus.HALTED:
            found.append(Event(EventKind.HALT, after.at, pod, endpoint, stop_reason or GONE))
    found += [
        Event(EventKind.PHASE, stay.ended, pod, endpoint, stay.phase, stay.seconds(stay.ended))
        for stay in stays(history)
        if stay.ended is not None and stay.last_id in new
    ]
    return found
