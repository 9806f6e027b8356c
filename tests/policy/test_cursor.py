"""Each row is counted once, in whatever order rows are committed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import START
from vmdirac.policy import cursor as module
from vmdirac.policy.cursor import PATIENCE, Cursor, Gap, advance


def test_what_was_passed_over_is_new_until_it_is_given_up() -> None:
    passed = advance(Cursor(10), [11, 15], START)
    assert passed == Cursor(15, (Gap(12, 14, START),))
    assert [id_ for id_ in range(8, 18) if passed.is_new(id_)] == [12, 13, 14, 16, 17]
    later = advance(passed, [13, 17], START + timedelta(minutes=1))
    assert [id_ for id_ in range(8, 19) if later.is_new(id_)] == [12, 14, 16, 18]
    much_later = advance(later, [18], START + PATIENCE)
    assert much_later == Cursor(18, (Gap(16, 16, START + timedelta(minutes=1)),))


@given(st.permutations(range(1, 13)), st.lists(st.integers(1, 4), min_size=12, max_size=12))
def test_rows_that_come_in_any_order_are_counted_once(order: list[int], sizes: list[int]) -> None:
    cursor, counted, there = Cursor(), [], set[int]()
    while order:
        size = sizes.pop()
        there.update(order[:size])
        order = order[size:]
        new = [id_ for id_ in there if cursor.is_new(id_)]
        counted += new
        cursor = advance(cursor, new, START)
    assert sorted(counted) == list(range(1, 13))
    assert cursor == Cursor(12)


def test_gaps_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GAPS_AT_MOST", 3)
    cursor = advance(Cursor(), range(2, 22, 2), START)
    assert [gap.first for gap in cursor.gaps] == [15, 17, 19]
