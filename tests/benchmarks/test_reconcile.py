"""What one pass costs does not grow with the fleet: neither calls beside the pages, nor round trips to the database."""

from __future__ import annotations

import pytest

from benchmarks import fleet, reconcile
from tests.fakes.fixtures import empty
from vmdirac.loops.corrections import ReconcileReport
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow

ENDPOINTS = 2


def passed(store: Store, vms: int, *, changing: bool) -> reconcile.Passed:
    empty(store)
    made = fleet.make(store, vms, changing=changing, endpoints=ENDPOINTS)
    found = reconcile.run(made)
    assert found.calls == made.pages + (ENDPOINTS if changing else 0)
    return found


@pytest.mark.parametrize("changing", [False, True], ids=["quiet", "changing"])
def test_round_trips_are_as_many_for_many_vms_as_for_few(store: Store, changing: bool) -> None:
    few, many = (passed(store, vms, changing=changing) for vms in (40, 400))
    assert many.round_trips == few.round_trips
    assert many.round_trips <= ENDPOINTS * (30 if changing else 10)


def test_the_changing_fleet_changes_as_it_is_said_to(sqlite_url: str) -> None:
    found = passed(Store(sqlite_url), 400, changing=True).found
    each = 400 // fleet.EVERY
    assert found == ReconcileReport(listed=400 - 2 * each, adopted=each, gone=each, delete_asked=each)
    quiet = passed(Store(sqlite_url), 40, changing=False).found
    assert quiet == ReconcileReport(listed=40)
