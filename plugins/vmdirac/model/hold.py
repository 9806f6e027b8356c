"""Failure memory: where launches are held, since when, why, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class HoldKind(StrEnum):
    """Why launches are held: an error of the cloud (of the kinds that mean something for later launches), or VMs that
    do not boot."""

    CAPACITY = "capacity"
    THROTTLE = "throttle"
    QUOTA = "quota"
    AUTH = "auth"
    CONFIG = "config"
    BOOT = "boot"


PROBED = frozenset({HoldKind.QUOTA, HoldKind.AUTH, HoldKind.CONFIG, HoldKind.BOOT})
"""Kinds that time alone does not end: when such a hold has run out, one launch tries whether it is still true."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Launches that would match this scope are held.

    The scope narrows with each field that is not empty: an endpoint; a pod on it; a flavor on it.

    :param until: from when one launch is tried again; a further failure renews the hold.
    :param failures: failures in a row that led to it.
    :param revision: of the configuration that failed; once that has changed, the hold is over. Empty: not tied to one.
    """

    endpoint: str
    kind: HoldKind
    message: str
    since: datetime
    until: datetime
    pod: str = ""
    flavor: str = ""
    failures: int = 1
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """What one launch is of, so that the holds that concern it can be told.

    :param revision: of all its configuration: pod, image and endpoint.
    :param endpoint_revision: of the endpoint's alone, credentials included.
    """

    endpoint: str
    pod: str
    flavor: str
    revision: str = ""
    endpoint_revision: str = ""
