"""The table of instances, filtered, sorted and cut into pages."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store
from vmdirac.store.instances_table import SortColumn, page

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


@pytest.fixture
def fleet(store: Store) -> list[int]:
    """Five instances; the second was heard of last."""
    with store.write() as session:
        made = [
            add_instance(session, InstanceStatus.RUNNING, pod="c", load=1.0, heard_at=START),
            add_instance(session, InstanceStatus.RUNNING, pod="a", load=3.0, heard_at=START + 9 * MINUTE),
            add_instance(session, InstanceStatus.NEW, pod="b", at=START + 2 * MINUTE),
            add_instance(session, InstanceStatus.HALTED, pod="b", heard_at=START + 3 * MINUTE),
            add_instance(session, InstanceStatus.STOPPING, pod="d", load=2.0, heard_at=START + MINUTE),
        ]
    return [item.id for item in made]


def ids(
    store: Store,
    statuses: Collection[InstanceStatus] = (),
    sort: SortColumn = SortColumn.ID,
    *,
    descending: bool = False,
    limit: int = 100,
    offset: int = 0,
) -> tuple[list[int], int]:
    with store.read() as session:
        rows, total = page(session, statuses=statuses, sort=sort, descending=descending, limit=limit, offset=offset)
    return [row.id for row in rows], total


def test_all_of_them(store: Store, fleet: list[int]) -> None:
    assert ids(store) == (fleet, 5)


def test_those_in_some_states(store: Store, fleet: list[int]) -> None:
    found, total = ids(store, {InstanceStatus.RUNNING, InstanceStatus.NEW})
    assert (found, total) == (fleet[:3], 3)


def test_a_page_of_them_and_how_many_there_are(store: Store, fleet: list[int]) -> None:
    assert ids(store, limit=2, offset=2) == (fleet[2:4], 5)
    assert ids(store, limit=2, offset=99) == ([], 5)


@pytest.mark.parametrize("descending", [False, True])
def test_sorted_by_what_was_last_heard_of_them_or_when_they_changed(
    store: Store, fleet: list[int], descending: bool
) -> None:
    first, second, third, fourth, fifth = fleet
    order = [first, fifth, third, fourth, second]
    found, _ = ids(store, sort=SortColumn.UPDATED_AT, descending=descending)
    assert found == (order[::-1] if descending else order)


def test_sorted_by_a_column_the_newest_first_among_equals(store: Store, fleet: list[int]) -> None:
    first, second, third, fourth, fifth = fleet
    assert ids(store, sort=SortColumn.POD)[0] == [second, fourth, third, first, fifth]
    assert ids(store, sort=SortColumn.POD, descending=True)[0] == [fifth, first, fourth, third, second]


@pytest.mark.parametrize("sort", SortColumn)
def test_every_column_can_be_sorted_by_and_no_row_is_lost_between_pages(
    store: Store, fleet: list[int], sort: SortColumn
) -> None:
    shown = [id_ for offset in (0, 2, 4) for id_ in ids(store, sort=sort, limit=2, offset=offset)[0]]
    assert sorted(shown) == fleet
