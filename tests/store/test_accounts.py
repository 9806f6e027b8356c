"""Limits of accounts, as they are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from vmdirac.model.account import AccountLimit, Measure
from vmdirac.store import accounts, endpoints
from vmdirac.store.database import Store
from vmdirac.store.tables import EndpointRow

LIMITS = (AccountLimit(Measure.INSTANCES, 10, 3), AccountLimit(Measure.MEMORY, 2**40, 0))


@pytest.fixture(autouse=True)
def alpha_and_beta(store: Store) -> None:
    with store.write() as session:
        endpoints.note_endpoints(session, ["alpha", "beta"], START)


def put(store: Store, *limits: AccountLimit) -> None:
    with store.write() as session:
        accounts.put_limits(session, "alpha", limits, START)


def test_what_was_put_is_there_again(store: Store) -> None:
    put(store, *LIMITS)
    with store.read() as session:
        assert accounts.limits(session, START) == {"alpha": LIMITS}
        assert accounts.asked_at(session, "alpha") == START
        assert accounts.asked_at(session, "beta") is None
        assert accounts.asked_at(session, "nowhere") is None


def test_limits_are_trusted_for_an_hour(store: Store) -> None:
    put(store, *LIMITS)
    with store.read() as session:
        assert accounts.limits(session, START + timedelta(minutes=59))
        assert accounts.limits(session, START + timedelta(hours=1)) == {}
        row = session.scalars(select(EndpointRow).where(EndpointRow.name == "alpha")).one()
        assert accounts.limits_of_row(row) == LIMITS, "but shown with their age"


def test_a_cloud_that_tells_none_has_none(store: Store) -> None:
    put(store, *LIMITS)
    put(store)
    with store.read() as session:
        assert accounts.limits(session, START) == {"alpha": ()}


def test_an_error_leaves_what_was_told_and_ends_with_the_next_answer(store: Store) -> None:
    put(store, *LIMITS)
    with store.write() as session:
        accounts.note_error(session, "alpha", "auth: no")
    with store.read() as session:
        row = session.scalars(select(EndpointRow).where(EndpointRow.name == "alpha")).one()
        assert (row.limits_error, accounts.limits_of_row(row)) == ("auth: no", LIMITS)
    put(store, *LIMITS)
    with store.read() as session:
        row = session.scalars(select(EndpointRow).where(EndpointRow.name == "alpha")).one()
        assert row.limits_error == ""
