"""How long launches are held after each kind of error, and the score of an offer that recovers."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import HOUR, MINUTE, NOW, SECOND
from vmdirac.model.errors import (
    AuthError,
    CapacityError,
    CloudError,
    ConfigError,
    QuotaError,
    ThrottleError,
    TransientError,
)
from vmdirac.model.hold import Hold, HoldKind, Scope
from vmdirac.policy.holds import after_error, blocking, concerns, score

HERE = Scope("A", "pod", "small", revision="r1", endpoint_revision="e1")


def hold_after(error: CloudError, previous: Hold | None = None, at: timedelta = timedelta(0)) -> Hold:
    made = after_error(error, now=NOW + at, previous=previous, scope=HERE)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("error", "pause", "scope"),
    [
        (ThrottleError("slow down", 42), 42 * SECOND, {}),
        (ThrottleError("slow down"), 30 * SECOND, {}),
        (CapacityError("full"), 10 * MINUTE, {"flavor": "small"}),
        (QuotaError("limit"), 10 * MINUTE, {}),
        (AuthError("refused"), 10 * MINUTE, {"revision": "e1"}),
        (ConfigError("no such image"), 10 * MINUTE, {"pod": "pod", "revision": "r1"}),
    ],
)
def test_what_each_error_holds_and_for_how_long(error: CloudError, pause: timedelta, scope: dict[str, str]) -> None:
    kind = HoldKind(error.kind.value)
    assert hold_after(error) == Hold("A", kind, str(error), NOW, NOW + pause, failures=1, **scope)


def test_an_unknown_outcome_holds_nothing() -> None:
    assert after_error(TransientError("timeout"), now=NOW, previous=None, scope=HERE) is None


@pytest.mark.parametrize("error", [AuthError("refused"), ConfigError("no such image")])
def test_suspensions_back_off_to_one_probe_an_hour(error: CloudError) -> None:
    made = hold_after(error)
    pauses = []
    for _ in range(5):
        # The probe is made as soon as it may be, and fails.
        probed = made.until
        made = hold_after(error, made, probed - NOW)
        pauses.append(made.until - probed)
    assert pauses == [20 * MINUTE, 40 * MINUTE, HOUR, HOUR, HOUR]
    assert made.since == NOW
    assert made.failures == 6


def test_a_burst_of_failures_counts_once() -> None:
    """Many launches on their way fail together: that is one reason to wait, not many."""
    made = hold_after(AuthError("refused"))
    for second in range(1, 50):
        made = hold_after(AuthError("refused"), made, second * SECOND)
    assert made.failures == 1
    assert made.until == NOW + 49 * SECOND + 10 * MINUTE
    assert made.since == NOW


@pytest.mark.parametrize("asked", [-5.0, 0.0, 1e300, float("inf"), float("nan")])
def test_a_pause_that_cannot_be_waited_for(asked: float) -> None:
    made = hold_after(ThrottleError("slow down", asked))
    assert NOW <= made.until <= NOW + timedelta(days=1)


WHOLE = Hold("A", HoldKind.AUTH, "refused", NOW, NOW + HOUR)


@pytest.mark.parametrize(
    ("hold", "concerned"),
    [
        (WHOLE, True),
        (replace(WHOLE, endpoint="B"), False),
        (replace(WHOLE, pod="pod"), True),
        (replace(WHOLE, pod="other"), False),
        (replace(WHOLE, flavor="small"), True),
        (replace(WHOLE, flavor="large"), False),
        (replace(WHOLE, pod="pod", flavor="large"), False),
    ],
)
def test_whom_a_hold_concerns(hold: Hold, *, concerned: bool) -> None:
    assert concerns(hold, HERE) is concerned
    assert blocking([hold], HERE, NOW) == (hold if concerned else None)


def test_the_hold_that_lasts_longest_is_named() -> None:
    longer = replace(WHOLE, kind=HoldKind.QUOTA, until=NOW + 2 * HOUR)
    assert blocking([WHOLE, longer, replace(WHOLE, until=NOW)], HERE, NOW) is longer
    assert blocking([longer, WHOLE], HERE, NOW) is longer
    assert blocking([], HERE, NOW) is None


@pytest.mark.parametrize("kind", HoldKind)
def test_lack_of_room_forbids_nothing(kind: HoldKind) -> None:
    found = blocking([replace(WHOLE, kind=kind)], HERE, NOW)
    assert (found is None) is (kind is HoldKind.CAPACITY)


@pytest.mark.parametrize("ended", [timedelta(0), SECOND])
def test_a_hold_ends_when_it_says(ended: timedelta) -> None:
    assert blocking([replace(WHOLE, until=NOW - ended)], HERE, NOW) is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (timedelta(0), 0.0),
        (60 * SECOND, 0.1),
        (300 * SECOND, 0.5),
        (600 * SECOND, 1.0),
        (HOUR, 1.0),
        (-60 * SECOND, 0.0),  # another host's clock is ahead
        (-HOUR, 1.0),  # that clock was wrong
    ],
)
def test_the_score_recovers_linearly(age: timedelta, expected: float) -> None:
    full = Hold("A", HoldKind.CAPACITY, "full", NOW - age, NOW + HOUR, flavor="small")
    assert score([full], HERE, NOW) == expected


def test_the_newest_lack_of_room_counts_and_only_that() -> None:
    old = Hold("A", HoldKind.CAPACITY, "full", NOW - 540 * SECOND, NOW + MINUTE, flavor="small")
    new = replace(old, since=NOW - 60 * SECOND)
    assert score([old, new], HERE, NOW) == 0.1
    assert score([WHOLE], HERE, NOW) == 1.0
    assert score([replace(new, flavor="large")], HERE, NOW) == 1.0
    assert score([], HERE, NOW) == 1.0


@PROPERTY
@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=20).map(sorted))
def test_a_suspension_is_never_longer_than_an_hour_and_never_shorter_than_the_first(times: list[int]) -> None:
    made: Hold | None = None
    for second in times:
        at = NOW + second * SECOND
        made = after_error(AuthError("refused"), now=at, previous=made, scope=HERE)
        assert made is not None
        assert 10 * MINUTE <= made.until - at <= HOUR
