"""What is remembered of endpoints: lists, holds, shapes of flavors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from vmdirac.model.cloud import Shape
from vmdirac.model.errors import ErrorKind
from vmdirac.model.hold import Hold
from vmdirac.store import endpoints
from vmdirac.store.database import Store
from vmdirac.store.tables import EndpointRow

MINUTE = timedelta(minutes=1)
HOLD = Hold("alpha", ErrorKind.AUTH, "the password is wrong", START, START + 10 * MINUTE)


def row(store: Store, name: str = "alpha") -> EndpointRow:
    with store.read() as session:
        return session.scalars(select(EndpointRow).where(EndpointRow.name == name)).one()


def put(store: Store, *holds: Hold) -> None:
    with store.write() as session:
        for hold in holds:
            endpoints.put_hold(session, hold)


class TestLists:
    @pytest.fixture(autouse=True)
    def alpha_and_beta(self, store: Store) -> None:
        with store.write() as session:
            endpoints.note_endpoints(session, ["alpha", "beta"], START)

    def test_an_endpoint_is_noted_once(self, store: Store) -> None:
        with store.write() as session:
            endpoints.note_endpoints(session, ["beta", "gamma", "gamma"], START + MINUTE)
        with store.read() as session:
            assert sorted(session.scalars(select(EndpointRow.name))) == ["alpha", "beta", "gamma"]
        assert (row(store, "beta").changed_at, row(store, "gamma").changed_at) == (START, START + MINUTE)

    def test_nothing_is_known_of_an_endpoint_that_was_never_listed(self, store: Store) -> None:
        with store.read() as session:
            assert endpoints.listed_at(session) == {}

    def test_a_list_is_noted_with_when_it_began(self, store: Store) -> None:
        with store.write() as session:
            endpoints.note_list(session, "alpha", START + MINUTE, listed=7, unknown=2)
        found = row(store)
        assert (found.list_began_at, found.listed_vms, found.unknown_vms) == (START + MINUTE, 7, 2)
        with store.read() as session:
            assert endpoints.listed_at(session) == {"alpha": START + MINUTE}

    def test_a_list_that_failed_leaves_what_the_last_one_said(self, store: Store) -> None:
        with store.write() as session:
            endpoints.note_list(session, "alpha", START, listed=7, unknown=2)
            endpoints.note_list_error(session, "alpha", "transient: time-out", START + MINUTE)
        found = row(store)
        assert (found.list_error, found.changed_at) == ("transient: time-out", START + MINUTE)
        assert (found.list_began_at, found.listed_vms, found.unknown_vms) == (START, 7, 2)
        assert row(store, "beta").list_error == ""

    def test_a_complete_list_ends_the_error(self, store: Store) -> None:
        with store.write() as session:
            endpoints.note_list_error(session, "alpha", "transient: time-out", START)
            endpoints.note_list(session, "alpha", START + MINUTE, listed=0, unknown=0)
        assert row(store).list_error == ""


class TestHolds:
    def held(self, store: Store, at_minute: float = 0) -> list[Hold]:
        with store.read() as session:
            return endpoints.holds(session, START + at_minute * MINUTE)

    def test_come_back_as_they_were_put(self, store: Store) -> None:
        narrow = replace(HOLD, pod="p", flavor="f" * 255, kind=ErrorKind.CONFIG, failures=3, message="é\x00" * 1000)
        put(store, HOLD, narrow)
        assert self.held(store) == [HOLD, replace(narrow, message="é\ufffd" * 1000)]

    def test_end_by_themselves(self, store: Store) -> None:
        put(store, HOLD)
        assert self.held(store, 9.9) == [HOLD]
        assert self.held(store, 10) == []

    def test_are_replaced_by_one_of_the_same_scope_and_kind(self, store: Store) -> None:
        longer = replace(HOLD, until=START + 30 * MINUTE, failures=2, message="still")
        put(store, HOLD, longer)
        assert self.held(store) == [longer]

    @pytest.mark.parametrize(
        "other",
        [
            replace(HOLD, endpoint="beta"),
            replace(HOLD, endpoint="Alpha"),
            replace(HOLD, pod="p"),
            replace(HOLD, flavor="f"),
            replace(HOLD, kind=ErrorKind.QUOTA),
        ],
        ids=["endpoint", "case", "pod", "flavor", "kind"],
    )
    def test_of_another_scope_or_kind_stand_beside_it(self, store: Store, other: Hold) -> None:
        put(store, HOLD, other)
        assert self.held(store) == [HOLD, other]

    def test_the_last_one_is_found_even_when_it_is_over(self, store: Store) -> None:
        put(store, HOLD)
        scope = {"endpoint": "alpha", "pod": "p", "flavor": "f"}
        with store.read() as session:
            assert endpoints.last_hold(session, **scope, kind=ErrorKind.AUTH) == HOLD
            assert endpoints.last_hold(session, **scope, kind=ErrorKind.QUOTA) is None
            assert endpoints.last_hold(session, **{**scope, "endpoint": "beta"}, kind=ErrorKind.AUTH) is None

    def test_the_last_one_is_of_a_scope_that_the_launch_fell_under(self, store: Store) -> None:
        mine = replace(HOLD, kind=ErrorKind.CONFIG, pod="p")
        put(store, mine, replace(mine, pod="q", until=START + 99 * MINUTE))
        with store.read() as session:
            found = endpoints.last_hold(session, endpoint="alpha", pod="p", flavor="f", kind=ErrorKind.CONFIG)
        assert found == mine

    def test_a_success_releases_those_that_it_fell_under(self, store: Store) -> None:
        under = [
            HOLD,
            replace(HOLD, pod="p", kind=ErrorKind.CONFIG),
            replace(HOLD, flavor="f", kind=ErrorKind.CAPACITY),
        ]
        others = [replace(HOLD, pod="q"), replace(HOLD, flavor="g"), replace(HOLD, endpoint="beta")]
        put(store, *under, *others)
        with store.write() as session:
            endpoints.release_holds(session, endpoint="alpha", pod="p", flavor="f")
        assert self.held(store) == others


class TestShapes:
    def known(self, store: Store, after: timedelta = timedelta(0)) -> dict[tuple[str, str], Shape]:
        with store.read() as session:
            return endpoints.shapes(session, START + after)

    def put(self, store: Store, shapes: dict[tuple[str, str], Shape], after: timedelta = timedelta(0)) -> None:
        with store.write() as session:
            endpoints.put_shapes(session, shapes, START + after)

    def test_are_kept_for_each_endpoint_and_flavor(self, store: Store) -> None:
        shapes = {("alpha", "small"): Shape(1, 2000), ("beta", "small"): Shape(2), ("alpha", "Small"): Shape(9)}
        self.put(store, shapes)
        assert self.known(store) == shapes

    def test_are_asked_for_again_after_a_day(self, store: Store) -> None:
        self.put(store, {("alpha", "small"): Shape(1)})
        assert self.known(store, timedelta(hours=23.9)) == {("alpha", "small"): Shape(1)}
        assert self.known(store, timedelta(hours=24)) == {}

    def test_are_replaced_when_the_cloud_says_something_else(self, store: Store) -> None:
        self.put(store, {("alpha", "small"): Shape(1), ("alpha", "large"): Shape(8)})
        self.put(store, {("alpha", "small"): Shape(2, 4000)}, timedelta(hours=20))
        assert self.known(store, timedelta(hours=30)) == {("alpha", "small"): Shape(2, 4000)}
