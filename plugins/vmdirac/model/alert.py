"""What a person has to look at, because nothing here may or can mend it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AlertKind(StrEnum):
    """What is wrong."""

    ORPHANS = "orphans"
    """So many VMs carry our tag and are unknown that it is probably our database that is wrong."""
    NEEDS_A_PERSON = "needs_a_person"
    """A VM that cannot be deleted, however often it was tried."""
    MASS_SILENCE = "mass_silence"
    """So many VMs fell silent together that it is probably not them."""
    MASS_ABSENCE = "mass_absence"
    """So many VMs are missing in a list that it is probably the list that is wrong."""
    ENDPOINT_SUSPENDED = "endpoint_suspended"
    """No launch of any pod is tried on an endpoint, because of its credentials or its configuration."""
    BREAKER_OPEN = "breaker_open"
    """VMs are not started because those before them did not boot."""
    ORPHAN_FOUND = "orphan_found"
    """A VM carries our tag and is unknown."""
    CREDENTIAL = "credential"
    """A credential of a pod that cannot be read."""
    SUSPICIOUS = "suspicious"
    """Somebody else than the VM that registered knows its bootstrap secret."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong with one subject, from when it was found until it is found no more.

    :param subject: what it is wrong with: an endpoint, ``instance 12`` or ``VM i-0a1b of aws-ireland``.
    :param since: when it was found first; ``last_at``: when it was found last.
    :param ended_at: when it was not found any more; ``None``: it still is there.
    """

    kind: AlertKind
    subject: str
    message: str
    since: datetime
    last_at: datetime
    ended_at: datetime | None = None
