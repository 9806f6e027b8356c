"""The breaker of a (pod, endpoint) whose VMs do not boot."""

from dataclasses import replace
from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from tests.policy.builders import HOUR, MINUTE, NOW, SECOND
from vmdirac.model.hold import Hold, HoldKind, Scope
from vmdirac.policy.holds import after_boot_failure

SCOPE = Scope("A", "pod", "small", revision="r1", endpoint_revision="e1")


def failed(previous: Hold | None, now: datetime, launched: datetime | None = None, scope: Scope = SCOPE) -> Hold | None:
    launched_at = now - SECOND if launched is None else launched
    return after_boot_failure("console: panic", scope=scope, launched_at=launched_at, now=now, previous=previous)


def test_the_first_failure_holds_the_pod_there_for_a_minute() -> None:
    assert failed(None, NOW) == Hold(
        "A", HoldKind.BOOT, "console: panic", NOW, NOW + MINUTE, pod="pod", failures=1, revision="r1"
    )


def test_each_probe_that_fails_doubles_it_up_to_an_hour() -> None:
    now, made, pauses = NOW, failed(None, NOW), []
    for _ in range(9):
        assert made is not None
        pauses.append((made.until - now) // MINUTE)
        # The probe is launched when the hold has run out, and takes a quarter of an hour to fail.
        launched, now = made.until, made.until + 15 * MINUTE
        made = failed(made, now, launched)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert made is not None
    assert made.since == NOW
    assert made.failures == 10


def test_a_burst_counts_once() -> None:
    """Ten VMs were launched together: the first failure tells all that the others can tell."""
    first = failed(None, NOW)
    for second in range(1, 10):
        later = NOW + second * SECOND
        assert failed(first, later, NOW - 15 * MINUTE) is None
        # Even one launched in the very moment in which the failure was noted.
        assert failed(first, later, NOW) is None
    again = failed(first, NOW + 16 * MINUTE, NOW + SECOND)
    assert again is not None
    assert again.failures == 2


def test_a_late_one_of_the_burst_counts_no_more_when_the_next_has_failed() -> None:
    first = failed(None, NOW)
    second = failed(first, NOW + 20 * MINUTE, NOW + 2 * MINUTE)
    assert second is not None
    assert failed(second, NOW + 21 * MINUTE, NOW + 3 * MINUTE) is None


def test_it_is_of_the_configuration_that_failed_last() -> None:
    first = failed(None, NOW)
    changed = failed(first, NOW + HOUR, scope=replace(SCOPE, revision="r2"))
    assert changed is not None
    assert changed.revision == "r2"


@PROPERTY
@given(
    st.lists(st.tuples(st.integers(0, 10**5), st.integers(0, 10**5)), min_size=1, max_size=30),
)
def test_it_never_holds_for_less_than_a_minute_nor_for_more_than_an_hour(steps: list[tuple[int, int]]) -> None:
    made: Hold | None = None
    now = NOW
    for passed, age in steps:
        now += passed * SECOND
        found = failed(made, now, now - age * SECOND)
        if found is not None:
            assert MINUTE <= found.until - now <= HOUR
            assert found.failures == (1 if made is None else made.failures + 1)
            made = found
