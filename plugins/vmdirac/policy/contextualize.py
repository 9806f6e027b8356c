"""Which VMs are to be contextualized over ssh now, which again, and which are given up.

A VM waits until it can be logged in to; the boot deadline gives it up, as any other that does not boot. Each try to run
the script has its own deadline; a VM that has called in needs no further try, whatever became of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.ssh import SshContext
from vmdirac.model.states import InstanceStatus

MAX_TRIES: Final = 3
FIRST_PAUSE: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=2)

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Visit:
    """Log in: begin the script if that is still to be done, and see how far it is."""

    instance: Instance
    context: SshContext


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The try came to nothing: back to where VMs wait to be logged in to."""

    instance: Instance
    why: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The last try came to nothing too: the VM is to be stopped by force."""

    instance: Instance
    why: str


@dataclass(frozen=True, slots=True)
class Leave:
    """The VM works, and its script has run for so long that nobody looks for its end any more."""

    context: SshContext


ContextAction = Visit | TryAgain | GiveUp | Leave


def decide(
    work: Iterable[tuple[Instance, SshContext]],
    deadlines: Callable[[Instance], Deadlines],
    hearing_since: datetime | None,
    now: datetime,
) -> list[ContextAction]:
    """What to do with VMs that are contextualized over ssh; visits last, those first that were visited longest ago.

    :param hearing_since: since when VMs can reach the manager; ``None``: they cannot. While nobody can call in, no
        try is in vain: an outage of ours uses up none.
    """
    ends: list[ContextAction] = []
    visits: list[Visit] = []
    for instance, context in work:
        if instance.status is InstanceStatus.RUNNING and _ran_long(instance, context, deadlines, now):
            ends.append(Leave(context))
        elif instance.status is InstanceStatus.CONTEXTUALIZING and context.finished and context.exit_status:
            ends.append(_after_a_failure(instance, context, f"its script ended with status {context.exit_status}"))
        elif instance.status is InstanceStatus.CONTEXTUALIZING and _is_over(instance, deadlines, hearing_since, now):
            ends.append(_after_a_failure(instance, context, _what_is_missing(context)))
        elif _wants_a_visit(instance, context, now):
            visits.append(Visit(instance, context))
    visits.sort(key=lambda visit: (visit.context.visited_at or _NEVER, visit.instance.id))
    return [*ends, *visits]


def _after_a_failure(instance: Instance, context: SshContext, why: str) -> TryAgain | GiveUp:
    tries = f"try {context.tries} of {MAX_TRIES}"
    if context.tries < MAX_TRIES:
        return TryAgain(instance, f"{why} ({tries})")
    return GiveUp(instance, f"{why} ({tries})")


def pause_after(failures: int) -> timedelta:
    """How long a VM is left alone after so many visits in a row that came to nothing."""
    return min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE) if failures else timedelta(0)


def _wants_a_visit(instance: Instance, context: SshContext, now: datetime) -> bool:
    if context.visited_at is not None and now - context.visited_at < pause_after(context.failures):
        return False
    if instance.status is InstanceStatus.WAIT_SSH_CONTEXT:
        return True
    # One that works is looked at to know how its script ended.
    looked_after = {InstanceStatus.CONTEXTUALIZING, InstanceStatus.RUNNING}
    return instance.status in looked_after and context.begun_at is not None and not context.finished


def _ran_long(
    instance: Instance, context: SshContext, deadlines: Callable[[Instance], Deadlines], now: datetime
) -> bool:
    return context.begun_at is None or now - context.begun_at > deadlines(instance).context


def _is_over(
    instance: Instance,
    deadlines: Callable[[Instance], Deadlines],
    hearing_since: datetime | None,
    now: datetime,
) -> bool:
    if hearing_since is None:
        return False
    return now - max(instance.status_since, hearing_since) > deadlines(instance).context


def _what_is_missing(context: SshContext) -> str:
    if context.finished:
        return "its script ended well, and it has not called in before its context deadline"
    return "its script has not ended before its context deadline"
