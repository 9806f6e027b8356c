"""Failure memory: where launches are held, since when, why, and until when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vmdirac.model.errors import ErrorKind


@dataclass(frozen=True, slots=True)
class Hold:
    """Launches that would match this scope are held.

    The scope narrows with each field that is not empty: an endpoint; a pod on it; a flavor on it.

    :param until: from when one launch is tried again; a further failure renews the hold.
    :param failures: failures in a row that led to it.
    """

    endpoint: str
    kind: ErrorKind
    message: str
    since: datetime
    until: datetime
    pod: str = ""
    flavor: str = ""
    failures: int = 1
