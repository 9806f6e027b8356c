"""Deletes where a driver raises, which it is not to do: neither one VM nor the pass is lost by that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.fakes.clock import Clock
from vmdirac.loops.deletes import MOST_RAISED, DeleteReport, Doomed, delete
from vmdirac.model.cloud import TerminateOutcome
from vmdirac.model.errors import AuthError, CloudError, ThrottleError, TransientError
from vmdirac.store.database import Store

VMS = [f"i-{number}" for number in range(300)]


class RaisingCloud:
    """Raises where some VMs are among those that are to be deleted."""

    def __init__(self, error: Exception, spoilt: Sequence[str]) -> None:
        self._error, self._spoilt = error, set(spoilt)
        self.calls = 0

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        self.calls += 1
        if self._spoilt & set(cloud_ids):
            raise self._error
        return [TerminateOutcome(cloud_id) for cloud_id in cloud_ids]


def delete_all(store: Store, cloud: RaisingCloud) -> DeleteReport:
    return delete(store, cloud, "alpha", Doomed((), VMS, ()), Clock())  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [AuthError("not this one"), ValueError("no JSON")])
def test_one_vm_is_found_among_hundreds(error: Exception, sqlite_store: Store) -> None:
    cloud = RaisingCloud(error, VMS[211:212])
    assert delete_all(sqlite_store, cloud) == DeleteReport(asked=299, failed=1)
    assert cloud.calls < 2 * MOST_RAISED


def test_those_that_it_raises_for_keep_the_others_waiting_for_a_pass_at_most(sqlite_store: Store) -> None:
    cloud = RaisingCloud(ValueError("no JSON"), VMS[:20])
    report = delete_all(sqlite_store, cloud)
    assert report.asked < 280
    assert cloud.calls < 2 * MOST_RAISED
    assert 0 < report.failed < MOST_RAISED, "those that it does not raise for have no failure"


def test_a_driver_that_raises_for_each_is_not_asked_for_each(sqlite_store: Store) -> None:
    cloud = RaisingCloud(ValueError("no JSON"), VMS)
    assert delete_all(sqlite_store, cloud).asked == 0
    assert cloud.calls == MOST_RAISED


@pytest.mark.parametrize("error", [TransientError("no answer"), ThrottleError("slow down")])
def test_a_cloud_that_cannot_be_asked_is_asked_once(error: CloudError, sqlite_store: Store) -> None:
    cloud = RaisingCloud(error, VMS[:1])
    with pytest.raises(type(error)):
        delete_all(sqlite_store, cloud)
    assert cloud.calls == 1
