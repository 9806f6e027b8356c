"""How long launches are held after each kind of error, and how good an offer is while it recovers (design §6)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.errors import CloudError, ErrorKind, ThrottleError
from vmdirac.model.hold import PROBED, Hold, HoldKind, Scope
from vmdirac.model.instance import Instance
from vmdirac.model.states import BOOTING, InstanceStatus

CAPACITY_RECOVERY: Final = timedelta(seconds=600)
QUOTA_PAUSE: Final = timedelta(minutes=10)
DEFAULT_THROTTLE_PAUSE: Final = timedelta(seconds=30)
LONGEST_THROTTLE_PAUSE: Final = timedelta(days=1)
FIRST_PROBE: Final = timedelta(minutes=10)
LAST_PROBE: Final = timedelta(hours=1)
FIRST_BOOT_PAUSE: Final = timedelta(minutes=1)
LAST_BOOT_PAUSE: Final = timedelta(hours=1)
AT_ONCE: Final = 32
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""By no more than this are two of our machines apart."""


def after_error(error: CloudError, *, scope: Scope, now: datetime, previous: Hold | None) -> Hold | None:
    """The hold that a failed launch puts on what it could harm; ``None`` if the outcome is merely unknown.

    Throttling pauses the endpoint and marks nothing bad; a configuration error concerns only (pod, endpoint); lack of
    room only the flavor; quota and refused credentials the whole endpoint. ``previous`` is the hold of the same scope
    and kind, if one was there: suspensions then back off from one probe in 10 minutes to one an hour. A failure while
    it still holds is of the same burst of launches that led to it, and counts as one with them.
    """
    failures = 1 if previous is None else previous.failures + (previous.until <= now)
    since = previous.since if previous is not None else now
    probe = min(LAST_PROBE, FIRST_PROBE * 2 ** min(failures - 1, 16))
    endpoint, message = scope.endpoint, str(error)
    match error.kind:
        case ErrorKind.TRANSIENT:
            return None
        case ErrorKind.THROTTLE:
            pause = _throttle_pause(error)
            return Hold(endpoint, HoldKind.THROTTLE, message, since, now + pause, failures=failures)
        case ErrorKind.CAPACITY:
            until = now + CAPACITY_RECOVERY
            return Hold(endpoint, HoldKind.CAPACITY, message, now, until, flavor=scope.flavor, failures=failures)
        case ErrorKind.QUOTA:
            return Hold(endpoint, HoldKind.QUOTA, message, since, now + QUOTA_PAUSE, failures=failures)
        case ErrorKind.AUTH:
            revision = scope.endpoint_revision
            return Hold(endpoint, HoldKind.AUTH, message, since, now + probe, failures=failures, revision=revision)
        case ErrorKind.CONFIG:
            return Hold(
                endpoint,
                HoldKind.CONFIG,
                message,
                since,
                now + probe,
                pod=scope.pod,
                failures=failures,
                revision=scope.revision,
            )


def _throttle_pause(error: CloudError) -> timedelta:
    asked = error.retry_after if isinstance(error, ThrottleError) else None
    if asked is None:
        return DEFAULT_THROTTLE_PAUSE
    # Whatever a cloud writes there has to be a time that can be waited for.
    return timedelta(seconds=min(max(0.0, asked), LONGEST_THROTTLE_PAUSE.total_seconds()))


def after_boot_failure(
    message: str, *, scope: Scope, launched_at: datetime, now: datetime, previous: Hold | None
) -> Hold | None:
    """The breaker of (pod, endpoint), opened by a VM that did not boot: for a minute, then twice as long each time, up
    to an hour. ``None``: it stays as it is.

    A VM that was launched before the last failure was known is of the same burst, and says nothing new.

    :param previous: the breaker as it is; ``None``: it is closed.
    """
    if previous is None:
        return Hold(
            scope.endpoint,
            HoldKind.BOOT,
            message,
            now,
            now + FIRST_BOOT_PAUSE,
            pod=scope.pod,
            revision=scope.revision,
        )
    last_failure = previous.until - _boot_pause(previous.failures)
    if launched_at <= last_failure:
        return None
    failures = previous.failures + 1
    until = now + _boot_pause(failures)
    return Hold(
        scope.endpoint,
        HoldKind.BOOT,
        message,
        previous.since,
        until,
        pod=scope.pod,
        failures=failures,
        revision=scope.revision,
    )


def _boot_pause(failures: int) -> timedelta:
    longer: timedelta = FIRST_BOOT_PAUSE * 2 ** min(failures - 1, 16)
    return min(LAST_BOOT_PAUSE, longer)


def concerns(hold: Hold, scope: Scope) -> bool:
    """Whether a launch falls under the hold: of its endpoint, pod and flavor, and configured as what failed was."""
    if hold.endpoint != scope.endpoint:
        return False
    if (hold.pod and hold.pod != scope.pod) or (hold.flavor and hold.flavor != scope.flavor):
        return False
    revision = scope.revision if hold.pod else scope.endpoint_revision
    return not hold.revision or not revision or hold.revision == revision


def blocking(holds: Iterable[Hold], scope: Scope, now: datetime) -> Hold | None:
    """The hold that forbids launches now, the one that lasts longest; lack of room forbids none, it only bounds them.

    A hold of the future was made while a clock was wrong, and holds nothing.
    """
    found = [
        hold
        for hold in holds
        if hold.kind is not HoldKind.CAPACITY
        and hold.since <= now + CLOCKS_DIFFER
        and hold.until > now
        and concerns(hold, scope)
    ]
    return max(found, key=lambda hold: hold.until, default=None)


def run_out(holds: Iterable[Hold], scope: Scope, now: datetime) -> list[Hold]:
    """The holds that have run out and that nothing has proved wrong yet, the newest first: one launch tries each."""
    found = [hold for hold in holds if hold.kind in PROBED and hold.until <= now and concerns(hold, scope)]
    return sorted(found, key=lambda hold: hold.until, reverse=True)


def is_probing(instance: Instance, hold: Hold) -> bool:
    """Whether this instance will show whether the hold is still true: by its launch, or by booting."""
    if instance.endpoint != hold.endpoint or (hold.pod and instance.pod != hold.pod):
        return False
    if instance.status is InstanceStatus.NEW:
        return True
    return hold.kind is HoldKind.BOOT and instance.status in BOOTING


def score(holds: Iterable[Hold], scope: Scope, now: datetime) -> float:
    """How likely a launch here finds room: 0 right after a capacity error, 1 again 600 s later, linear between.

    Source: Ray's autoscaler v2 lowers and restores the score of a node type in the same way.
    """
    found = [
        hold.since
        for hold in holds
        if hold.kind is HoldKind.CAPACITY and hold.since <= now + CLOCKS_DIFFER and concerns(hold, scope)
    ]
    if not found:
        return 1.0
    age = max(timedelta(0), now - max(found))
    return min(1.0, age / CAPACITY_RECOVERY)


def room_limit(score: float) -> int | None:
    """How many VMs may try at once a shape for which there was no room lately: one at first, more as it recovers.
    ``None``: any number. Otherwise a full cloud would be asked for all that waits, in vain, each time."""
    return None if score >= 1 else max(1, int(score * AT_ONCE))
