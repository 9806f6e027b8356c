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
    CREDENTIAL = "credential"
    """A credential of a pod that cannot be read."""
    SUSPICIOUS = "suspicious"
    """Somebody else than the VM that registered knows its bootstrap secret."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that is wrong with one subject, from when it was found until it is found no more.

    :param subject: what it is wrong with: an endpoint, ``instance 12`` or ``VM i-0a1b of aws-ireland``.
    :param since: when it was found first; ``last_at``: when it was found last.
    """

    kind: AlertKind
    subject: str
    message: str
    since: datetime
    last_at: datetime
