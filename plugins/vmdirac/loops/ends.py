"""What the end of a VM that nobody here wanted says about launches to come."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.cloud import CloudInstance
from vmdirac.model.errors import ERRORS, REFUSALS, CapacityError, CloudError
from vmdirac.model.instance import Instance
from vmdirac.model.states import BOOTING, StopReason
from vmdirac.store import boots, endpoints


def learn_from_end(
    session: Session, instance: Instance, seen: CloudInstance | None, message: str, now: datetime
) -> None:
    """Hold launches where the cloud said why the VM could not stay, else count it if it never booted.

    A VM that the cloud took back shows that its flavor is scarce there (source: Karpenter's interruption controller
    marks the offering of an interrupted spot node as unavailable). One that the cloud itself could not start, since it
    had no room say, is no failure of its image.

    :param instance: as it was before its end.
    :param seen: as the cloud's last list shows it; ``None``: it shows it no more.
    :param message: how it ended.
    """
    if instance.stop_reason is StopReason.INTERRUPTED:
        return
    said = (seen.message if seen is not None else "") or message
    error: CloudError | None = None
    if seen is not None and seen.interrupted:
        error = CapacityError(said)
    elif not _never_booted(instance):
        return
    elif seen is not None and seen.fault is not None and issubclass(ERRORS[seen.fault], REFUSALS):
        error = ERRORS[seen.fault](said)
    if error is None:
        boots.note_failure(session, instance, message, now)
        return
    endpoints.note_refusal(session, endpoints.scope_of_row(session, instance), error, now)


def _never_booted(instance: Instance) -> bool:
    return instance.status in BOOTING and instance.registered_at is None
