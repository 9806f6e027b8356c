"""What OpenStack says no with, as one of our six errors: one table."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from vmdirac.hooks.typed_errors import raised_as
from vmdirac.model.errors import (
    ERRORS,
    AuthError,
    CloudError,
    ConfigError,
    ErrorKind,
    ThrottleError,
    TransientError,
)

LONGEST_MESSAGE = 600


@dataclass(frozen=True, slots=True)
class Rule:
    """An answer with one of the statuses (none: any from 400 on) whose text has the pattern is of this kind."""

    kind: ErrorKind
    statuses: frozenset[int] = frozenset()
    text: str = ""

    def holds(self, status: int, text: str) -> bool:
        return (not self.statuses or status in self.statuses) and bool(re.search(self.text, text, re.IGNORECASE))


def _rule(kind: ErrorKind, *statuses: int, text: str = "") -> Rule:
    return Rule(kind, frozenset(statuses), text)


QUOTA_TEXT = (
    r"quota|limit (was )?exceeded|maximum number of .* exceed(s|ed)|exceeds? (the )?(allowed|maximum)|over the limit"
)

RULES = (
    _rule(ErrorKind.AUTH, 401),
    _rule(ErrorKind.THROTTLE, 429),
    _rule(ErrorKind.THROTTLE, 413, 503, text=r"rate.?limit|too many requests"),
    # What the services call being full. Before the quota: "no more IP addresses" is nobody's quota.
    _rule(ErrorKind.CAPACITY, text=r"no valid host|not enough hosts|insufficient (compute )?resources"),
    _rule(ErrorKind.CAPACITY, text=r"no more (free )?(fixed )?ip addresses|IpAddressGenerationFailure"),
    _rule(ErrorKind.CAPACITY, text=r"ExternalIpAddressExhausted|no fixed ip|NoMoreFixedIps"),
    _rule(ErrorKind.CAPACITY, text=r"maximum number of retries|exceeded max(imum)? (scheduling )?(attempts|retries)"),
    _rule(ErrorKind.QUOTA, 400, 403, 409, text=QUOTA_TEXT),
    _rule(ErrorKind.QUOTA, 413),
    _rule(ErrorKind.AUTH, 403),
    _rule(ErrorKind.TRANSIENT, 408, 425),
    # A VM between two states: what was asked for fits none of them now, but soon will.
    _rule(ErrorKind.TRANSIENT, 409, text=r"task_state|while the instance is|concurrent|RetryRequest"),
    _rule(ErrorKind.CONFIG, 400, 404, 405, 406, 409, 410, 411, 412, 415, 422),
    _rule(ErrorKind.TRANSIENT, 500, 501, 502, 503, 504),
)
"""The first one that holds counts."""

FAULTS = (
    # A fault has the status of whatever failed first, mostly 500: its text alone counts.
    *(Rule(rule.kind, text=rule.text) for rule in RULES if rule.text and rule.kind is not ErrorKind.TRANSIENT),
    _rule(
        ErrorKind.CONFIG,
        text=r"(image|flavor|network|subnet|port|group|volume) \S+ (could not be found|is unacceptable)",
    ),
    _rule(ErrorKind.CONFIG, text=r"too small for requested image"),
)
"""What Nova says of a VM that it accepted and could not make. The first one that holds counts."""


OUR_CERTIFICATE_REFUSED = r"ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_\w+|DECRYPT_ERROR|ACCESS_DENIED)"
"""With what a server's TLS library says no to a client's certificate."""


def kind_of(status: int, text: str) -> ErrorKind:
    """What an answer means."""
    for rule in RULES:
        if rule.holds(status, text):
            return rule.kind
    return ErrorKind.CONFIG if 400 <= status < 500 else ErrorKind.TRANSIENT


def fault_of(message: str) -> ErrorKind | None:
    """What the fault of a listed VM means. ``None``: it tells of this VM only, such as that a hypervisor failed."""
    return next((rule.kind for rule in FAULTS if rule.holds(0, message)), None)


def error_of_answer(response: Any) -> CloudError:
    """One of our errors for an answer whose status is one of refusal."""
    status, text = int(response.status_code), _message(response)
    kind = kind_of(status, text)
    shown = f"{status}: {_shown(text) or response.reason or 'no reason given'}"
    if kind is ErrorKind.THROTTLE:
        return ThrottleError(shown, _pause(response.headers.get("Retry-After")))
    return ERRORS[kind](shown)


def error_of(error: Exception) -> CloudError:
    """One of our errors for whatever openstacksdk and what it is built on raised."""
    from keystoneauth1 import exceptions as keystone
    from openstack import exceptions as sdk

    if isinstance(error, CloudError):
        return error
    name, text = type(error).__name__, _shown(str(error))
    status = getattr(error, "http_status", None) or getattr(error, "status_code", None)
    if isinstance(error, keystone.HttpError) and status:
        return _error_of_login(error, int(status))
    if isinstance(error, keystone.SSLError) and re.search(OUR_CERTIFICATE_REFUSED, text):
        return AuthError(f"our certificate is refused: {text}")
    if isinstance(error, keystone.SSLError) and "EOF" not in text:
        return ConfigError(f"there is no TLS with the cloud: {text}; see cacert")
    if isinstance(
        error,
        keystone.ConnectFailure | keystone.ConnectionError | keystone.SSLError | keystone.RetriableConnectionFailure,
    ):
        return TransientError(f"{name}: {text}")
    if isinstance(error, keystone.DiscoveryFailure):
        return TransientError(f"the versions of its interfaces are not told: {text}")
    if isinstance(error, sdk.ServiceDisabledException | sdk.ConfigException | keystone.CatalogException):
        return ConfigError(text or name)
    if isinstance(error, keystone.AuthorizationFailure):
        return AuthError(text or name)
    if isinstance(error, keystone.ClientException):
        # What is missing, or does not fit together, in how we are to log in.
        return ConfigError(f"the connection's settings cannot be used: {text or name}")
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError) or "invalid path" in text:
        return ConfigError(text)
    # A library's bug, or an answer that broke off: whether the cloud did it is not known.
    return TransientError(f"{name} while OpenStack was asked")


def typed_errors() -> AbstractContextManager[None]:
    """Whatever fails in it is raised as one of our errors, without the trace of what was sent."""
    return raised_as(error_of)


def _error_of_login(error: Any, status: int) -> CloudError:
    """Keystone's answers reach us as exceptions."""
    response = getattr(error, "response", None)
    if response is not None:
        return error_of_answer(response)
    kind, shown = kind_of(status, str(error)), f"{status}: {_shown(str(error))}"
    if kind is ErrorKind.THROTTLE:
        return ThrottleError(shown, getattr(error, "retry_after", None) or None)
    return ERRORS[kind](shown)


def _message(response: Any) -> str:
    """What the answer says, whichever service it is of."""
    try:
        body = response.json()
    except ValueError:
        return str(response.text)[:LONGEST_MESSAGE] if "text/plain" in response.headers.get("Content-Type", "") else ""
    if isinstance(body, dict):
        for part in (*body.values(), body):
            if isinstance(part, dict) and part.get("message"):
                return " ".join(str(part[name]) for name in ("type", "message") if part.get(name))
            if isinstance(part, str) and part:
                return part
    return ""


def _pause(header: object) -> float | None:
    text = str(header or "")
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) else None


def _shown(message: str) -> str:
    """Fit to be shown: Nova quotes what it does not like, the user data too, and that may carry a secret."""
    if "user_data" in message:
        return "Nova refuses the user data"
    return " ".join(message.split())[:LONGEST_MESSAGE]
