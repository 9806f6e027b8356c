"""What the end of a VM that nobody here wanted says about launches to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.cloud import CloudInstance
from vmdirac.model.errors import ERRORS, REFUSALS, CapacityError, CloudError, ErrorKind
from vmdirac.model.instance import Instance
from vmdirac.model.states import BOOTING, StopReason
from vmdirac.store import boots, endpoints


@dataclass(frozen=True, slots=True)
class End:
    """A VM that ended, or is about to.

    :param instance: as it was before its end.
    :param seen: as the cloud's last list shows it; ``None``: it shows it no more.
    :param message: how it ended.
    """

    instance: Instance
    seen: CloudInstance | None
    message: str


def learn_from_ends(session: Session, ends: Sequence[End], now: datetime) -> None:
    """Hold launches where the cloud said why VMs could not stay, else count those that never booted.

    A VM that the cloud took back shows that its flavor is scarce there (source: Karpenter's interruption controller
    marks the offering of an interrupted spot node as unavailable). One that the cloud itself could not start, since it
    had no room say, is no failure of its image.
    """
    # What an interruption says was learned when it was foreseen.
    unwanted = [end for end in ends if end.instance.stop_reason is not StopReason.INTERRUPTED]
    refusals = [(end.instance, error) for end in unwanted if (error := _refusal(end)) is not None]
    # Of what a task started by itself no pod learns whether its image boots.
    failures = [
        end for end in unwanted if _refusal(end) is None and _never_booted(end.instance) and not end.instance.one_off
    ]
    boots.note_failures(session, [(end.instance, end.message) for end in failures], now)
    scopes = endpoints.scopes_of(session, [instance for instance, _ in refusals])
    errors = [error for _, error in refusals]
    endpoints.note_refusals(session, zip(scopes, errors, strict=True), now)


def _refusal(end: End) -> CloudError | None:
    """The cloud's reason, as if it had refused the launch; ``None``: there is none."""
    seen = end.seen
    if seen is None:
        return None
    said = seen.message or end.message
    if seen.interrupted:
        return CapacityError(said)
    if not _never_booted(end.instance) or seen.fault is None or not issubclass(ERRORS[seen.fault], REFUSALS):
        return None
    # A mistake in what one task asked for is nobody else's.
    return None if end.instance.one_off and seen.fault is ErrorKind.CONFIG else ERRORS[seen.fault](said)


def _never_booted(instance: Instance) -> bool:
    return instance.status in BOOTING and instance.registered_at is None
