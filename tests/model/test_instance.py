"""What an instance counts for: a place under the limits, processors for jobs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus as S

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def make(status: S, *, vm_gone: bool = False, processors: int = 4, busy: int = 0) -> Instance:
    return Instance(
        id=1,
        version=1,
        pod="pod",
        image="image",
        endpoint="endpoint",
        launch_token="token",
        status=status,
        created_at=NOW,
        status_since=NOW,
        changed_at=NOW,
        offer=Offer(cpu_time=100),
        processors=processors,
        busy_processors=busy,
        vm_gone=vm_gone,
    )


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("vm_gone", [False, True])
def test_a_place_is_held_until_the_vm_is_confirmed_gone(status: S, *, vm_gone: bool) -> None:
    free = status is S.HALTED or (status is S.ERROR and vm_gone)
    assert make(status, vm_gone=vm_gone).holds_a_place is not free


@pytest.mark.parametrize(
    ("status", "busy", "free"),
    [
        (S.NEW, 0, 4),
        (S.SUBMITTED, 0, 4),
        (S.WAIT_SSH_CONTEXT, 0, 4),
        (S.CONTEXTUALIZING, 0, 4),
        (S.RUNNING, 0, 4),
        (S.RUNNING, 3, 1),
        (S.RUNNING, 4, 0),
        (S.RUNNING, 9, 0),
        (S.STOPPING, 0, 0),
        (S.STALLED, 0, 0),
        (S.ERROR, 0, 0),
        (S.HALTED, 0, 0),
        # What a VM that has not called in is said to be busy with is left over from somewhere.
        (S.SUBMITTED, 2, 4),
    ],
)
def test_free_processors(status: S, busy: int, free: int) -> None:
    assert make(status, busy=busy).free_processors == free


@pytest.mark.parametrize(
    ("memory", "busy", "free"), [(0, 0, None), (0, 500, None), (1000, 0, 1000), (1000, 400, 600), (1000, 1500, 0)]
)
def test_free_memory(memory: int, busy: int, free: int | None) -> None:
    assert replace(make(S.RUNNING), memory_mb=memory, busy_memory_mb=busy).free_memory_mb == free


@pytest.mark.parametrize("period", [5.0, 60.0])
def test_what_a_vm_said_is_good_for_three_periods(period: float) -> None:
    span = timedelta(seconds=3 * period)
    one = replace(make(S.RUNNING), heartbeat_period=period, heard_at=NOW)
    assert one.recently_heard(NOW)
    assert one.recently_heard(NOW + span)
    assert not one.recently_heard(NOW + span + timedelta(seconds=1))
    # Another host's clock is ahead.
    assert one.recently_heard(NOW - timedelta(hours=1))
    assert not make(S.RUNNING).recently_heard(NOW)


@pytest.mark.parametrize(
    ("lifetime", "launched", "left"),
    [
        (0, None, None),
        (3600, None, 3600.0),
        (3600, timedelta(minutes=50), 600.0),
        (3600, timedelta(hours=1), 0.0),
        (3600, timedelta(days=9), 0.0),
    ],
)
def test_how_long_a_vm_still_takes_jobs(lifetime: int, launched: timedelta | None, left: float | None) -> None:
    one = replace(
        make(S.RUNNING),
        offer=Offer(cpu_time=100, max_lifetime=lifetime),
        last_launch_at=None if launched is None else NOW - launched,
    )
    assert one.launched_at == (NOW if launched is None else NOW - launched)
    assert one.seconds_left(NOW) == left
    assert (one.expires_at is None) is (left is None)
