"""Credentials for the work: where a pod's come from, and what was read there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class SourceKind(StrEnum):
    """Where a credential is read."""

    FILE = "file"
    CONNECTION = "connection"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """One credential of a pod.

    :param kind: with ``place``: where it is read. A path; the id of an Airflow connection; the name of a command.
    :param field: of a connection: ``password``, or ``extra.`` and a key.
    :param environment: variable that names the credential's file to jobs; ``None``: none does.
    :param ttl: for how long it is good from when it was read, where it does not say so itself; ``None``: nobody knows.
    :param renew_before: so long before its end VMs get another one.
    """

    name: str
    kind: SourceKind
    place: str
    field: str = "password"
    environment: str | None = None
    ttl: timedelta | None = None
    renew_before: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Credential:
    """What was read from a source.

    :param expires_at: when it is good no more; ``None``: not known.
    """

    content: bytes = field(repr=False)
    read_at: datetime
    expires_at: datetime | None


class CredentialFault(StrEnum):
    """What is wrong with a source."""

    NOT_ALLOWED = "not allowed"
    """The configuration of this Airflow does not let pods use it."""
    MISSING = "missing"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    TOO_LARGE = "too large"
    EXPIRED = "expired"
    FAILED = "failed"
    """The command ended with an error."""
    TIMED_OUT = "timed out"


class CredentialError(Exception):
    """A credential could not be read; the message says why, and nothing of what is in it."""

    def __init__(self, fault: CredentialFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault
