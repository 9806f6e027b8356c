"""Refused calls are counted by instance and reason, and those for made-up instances make no rows."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.store import refusals
from vmdirac.store.database import Store
from vmdirac.store.tables import RefusalRow


def test_calls_add_up(store: Store) -> None:
    with store.write() as session:
        one, other = add_instance(session).id, add_instance(session).id
    store.transact(lambda session: refusals.add(session, {(one, "over"): 2, (other, "over"): 1}, START))
    later = START + timedelta(hours=1)
    store.transact(lambda session: refusals.add(session, {(one, "over"): 3, (one, "token_expired"): 4}, later))
    with store.read() as session:
        assert refusals.totals(session) == {"over": 6, "token_expired": 4}
        found = [(row.reason, row.calls, row.first_at, row.last_at) for row in refusals.of_instance(session, one)]
        assert found == [("over", 5, START, later), ("token_expired", 4, later, later)]
        assert [(row.instance_id, row.calls) for row in refusals.worst(session, 2)] == [(one, 5), (one, 4)]


def test_made_up_instances_share_one_row(store: Store) -> None:
    calls = {(2**63 - number, "wrong_secret"): 1 for number in range(1, 1200)}
    store.transact(lambda session: refusals.add(session, calls, START))
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(RefusalRow)) == 1
        assert [row.calls for row in refusals.of_instance(session, refusals.NOBODYS)] == [1199]
