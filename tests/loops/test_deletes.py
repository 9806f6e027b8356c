"""Deletes where a driver raises, which it is not to do: neither one VM nor the pass is lost by that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.fakes.clock import Clock
from vmdirac.loops.deletes import MOST_RAISED, SEARCH_TIME, DeleteReport, Doomed, delete
from vmdirac.model.cloud import TerminateOutcome
from vmdirac.model.errors import AuthError, ThrottleError, TransientError
from vmdirac.store.database import Store

VMS = [f"i-{number}" for number in range(300)]


class RaisingCloud:
    """Raises where some VMs are among those that are to be deleted."""

    def __init__(self, error: Exception, spoilt: Sequence[str], clock: Clock, seconds: float = 0) -> None:
        self._error, self._spoilt, self._clock, self._seconds = error, set(spoilt), clock, seconds
        self.calls = 0
        self.deleted: set[str] = set()
        self.found: set[str] = set()

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        self.calls += 1
        self._clock.advance(seconds=self._seconds)
        if self._spoilt & set(cloud_ids):
            self.found |= set(cloud_ids) if len(cloud_ids) == 1 else set()
            raise self._error
        self.deleted |= set(cloud_ids)
        return [TerminateOutcome(cloud_id) for cloud_id in cloud_ids]


def one_pass(store: Store, cloud: RaisingCloud, vms: Sequence[str], clock: Clock) -> DeleteReport:
    return delete(store, cloud, "alpha", Doomed((), vms, ()), clock)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [AuthError("not this one"), TransientError("no JSON"), ValueError("no JSON")])
def test_one_vm_is_found_among_hundreds(error: Exception, sqlite_store: Store) -> None:
    cloud = RaisingCloud(error, VMS[211:212], clock := Clock())
    assert one_pass(sqlite_store, cloud, VMS, clock) == DeleteReport(asked=299, failed=1)
    assert cloud.calls < 2 * MOST_RAISED


def test_those_that_it_raises_for_keep_the_others_waiting_for_a_few_passes_at_most(sqlite_store: Store) -> None:
    cloud = RaisingCloud(ValueError("no JSON"), VMS[:20], clock := Clock())
    passes, left = 0, VMS
    while left:
        passes += 1
        one_pass(sqlite_store, cloud, left, clock)
        # Those that were found have a pause; those that were not asked for are as they were.
        left = [vm for vm in left if vm not in cloud.deleted | cloud.found]
    assert cloud.deleted == set(VMS[20:])
    assert passes <= 5


def test_a_driver_that_raises_for_each_is_not_asked_for_each(sqlite_store: Store) -> None:
    cloud = RaisingCloud(ValueError("no JSON"), VMS, clock := Clock())
    assert one_pass(sqlite_store, cloud, VMS, clock) == DeleteReport(failed=len(cloud.found))
    assert cloud.calls == MOST_RAISED


def test_a_driver_that_takes_long_is_not_asked_again_and_again(sqlite_store: Store) -> None:
    cloud = RaisingCloud(TransientError("time-out"), VMS, clock := Clock(), seconds=30)
    assert one_pass(sqlite_store, cloud, VMS, clock) == DeleteReport()
    assert cloud.calls == SEARCH_TIME.total_seconds() / 30


def test_a_cloud_that_is_asked_too_often_is_asked_once(sqlite_store: Store) -> None:
    cloud = RaisingCloud(ThrottleError("slow down"), VMS[:1], clock := Clock())
    assert one_pass(sqlite_store, cloud, VMS, clock) == DeleteReport()
    assert cloud.calls == 1
