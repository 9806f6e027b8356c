"""What a cloud can say no with, typed by how we react to it (not by which cloud said it)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ErrorKind(StrEnum):
    """The name under which an error is stored and shown."""

    CAPACITY = "capacity"
    THROTTLE = "throttle"
    QUOTA = "quota"
    AUTH = "auth"
    CONFIG = "config"
    TRANSIENT = "transient"


class CloudError(Exception):
    """Base of all typed errors. ``str(error)`` is the cloud's own message, without secrets, fit to be shown."""

    kind: ErrorKind


class CapacityError(CloudError):
    """The cloud has no room for this shape here and now. Another flavor, zone or endpoint may have."""

    kind = ErrorKind.CAPACITY


class ThrottleError(CloudError):
    """Too many API calls. ``retry_after`` is the pause in seconds that the cloud asked for, if it did."""

    kind = ErrorKind.THROTTLE

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaError(CloudError):
    """The account has reached a limit of its own."""

    kind = ErrorKind.QUOTA


class AuthError(CloudError):
    """The credentials were refused."""

    kind = ErrorKind.AUTH


class ConfigError(CloudError):
    """The request names something that the cloud does not have or does not accept: it will fail every time."""

    kind = ErrorKind.CONFIG


class TransientError(CloudError):
    """Timeout, connection, 5xx: whether the cloud did what was asked is unknown."""

    kind = ErrorKind.TRANSIENT


REFUSALS = (CapacityError, ThrottleError, QuotaError, AuthError, ConfigError)
"""Errors after which it is certain that no VM was made."""

ERRORS: Final[Mapping[ErrorKind, type[CloudError]]] = MappingProxyType(
    {error.kind: error for error in (*REFUSALS, TransientError)}
)
"""Each kind's error."""
