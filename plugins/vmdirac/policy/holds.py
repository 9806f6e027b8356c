"""How long launches are held after each kind of error, and how good an offer is while it recovers (design §6)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.errors import CloudError, ErrorKind, ThrottleError
from vmdirac.model.hold import Hold

CAPACITY_RECOVERY: Final = timedelta(seconds=600)
QUOTA_PAUSE: Final = timedelta(minutes=10)
DEFAULT_THROTTLE_PAUSE: Final = timedelta(seconds=30)
LONGEST_THROTTLE_PAUSE: Final = timedelta(days=1)
FIRST_PROBE: Final = timedelta(minutes=10)
LAST_PROBE: Final = timedelta(hours=1)


def after_error(
    error: CloudError, *, endpoint: str, pod: str, flavor: str, now: datetime, previous: Hold | None
) -> Hold | None:
    """The hold that a failed launch puts on what it could harm; ``None`` if the outcome is merely unknown.

    Throttling pauses the endpoint and marks nothing bad; a configuration error concerns only (pod, endpoint); lack of
    room only the flavor; quota and refused credentials the whole endpoint. ``previous`` is the hold of the same scope
    and kind, if one was there: suspensions then back off from one probe in 10 minutes to one an hour. A failure while
    it still holds is of the same burst of launches that led to it, and counts as one with them.
    """
    failures = 1 if previous is None else previous.failures + (previous.until <= now)
    since = previous.since if previous is not None else now
    probe = min(LAST_PROBE, FIRST_PROBE * 2 ** min(failures - 1, 16))
    match error.kind:
        case ErrorKind.TRANSIENT:
            return None
        case ErrorKind.THROTTLE:
            pause = _throttle_pause(error)
            return Hold(endpoint, error.kind, str(error), since, now + pause, failures=failures)
        case ErrorKind.CAPACITY:
            return Hold(
                endpoint,
                error.kind,
                str(error),
                now,
                now + CAPACITY_RECOVERY,
                flavor=flavor,
                failures=failures,
            )
        case ErrorKind.QUOTA:
            return Hold(endpoint, error.kind, str(error), since, now + QUOTA_PAUSE, failures=failures)
        case ErrorKind.AUTH:
            return Hold(endpoint, error.kind, str(error), since, now + probe, failures=failures)
        case ErrorKind.CONFIG:
            return Hold(endpoint, error.kind, str(error), since, now + probe, pod=pod, failures=failures)


def _throttle_pause(error: CloudError) -> timedelta:
    asked = error.retry_after if isinstance(error, ThrottleError) else None
    if asked is None:
        return DEFAULT_THROTTLE_PAUSE
    # Whatever a cloud writes there has to be a time that can be waited for.
    return timedelta(seconds=min(max(0.0, asked), LONGEST_THROTTLE_PAUSE.total_seconds()))


def concerns(hold: Hold, *, endpoint: str, pod: str, flavor: str) -> bool:
    """Whether a launch of this pod and flavor on this endpoint falls under the hold."""
    return (
        hold.endpoint == endpoint and (not hold.pod or hold.pod == pod) and (not hold.flavor or hold.flavor == flavor)
    )


def blocking(holds: Iterable[Hold], *, endpoint: str, pod: str, flavor: str, now: datetime) -> Hold | None:
    """The hold that forbids launches now, the one that lasts longest; lack of room forbids none, it only scores."""
    found = [
        hold
        for hold in holds
        if hold.kind is not ErrorKind.CAPACITY
        and hold.until > now
        and concerns(hold, endpoint=endpoint, pod=pod, flavor=flavor)
    ]
    return max(found, key=lambda hold: hold.until, default=None)


def score(holds: Iterable[Hold], *, endpoint: str, pod: str, flavor: str, now: datetime) -> float:
    """How likely a launch here finds room: 0 right after a capacity error, 1 again 600 s later, linear between."""
    found = [
        hold.since
        for hold in holds
        if hold.kind is ErrorKind.CAPACITY and concerns(hold, endpoint=endpoint, pod=pod, flavor=flavor)
    ]
    if not found:
        return 1.0
    age = max(timedelta(0), now - max(found))
    return min(1.0, age / CAPACITY_RECOVERY)
