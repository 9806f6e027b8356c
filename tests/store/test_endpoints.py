"""What is remembered of endpoints: lists, holds, shapes of flavors."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from vmdirac.model.cloud import Shape
from vmdirac.model.hold import PROBED, Hold, HoldKind, Scope
from vmdirac.store import endpoints
from vmdirac.store.database import Store
from vmdirac.store.tables import EndpointRow

MINUTE = timedelta(minutes=1)
HOLD = Hold("alpha", HoldKind.AUTH, "the password is wrong", START, START + 10 * MINUTE)


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
        narrow = replace(HOLD, pod="p", flavor="f" * 255, kind=HoldKind.CONFIG, failures=3, message="é\x00" * 1000)
        put(store, HOLD, narrow)
        assert self.held(store) == [HOLD, replace(narrow, message="é\ufffd" * 1000)]

    @pytest.mark.parametrize("kind", HoldKind)
    def test_end_by_themselves_unless_only_a_launch_can_tell(self, store: Store, kind: HoldKind) -> None:
        hold = replace(HOLD, kind=kind)
        put(store, hold)
        assert self.held(store, 9.9) == [hold]
        assert self.held(store, 10) == self.held(store, 10_000) == ([hold] if kind in PROBED else [])

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
            replace(HOLD, kind=HoldKind.QUOTA),
            replace(HOLD, revision="r2"),
        ],
        ids=["endpoint", "case", "pod", "flavor", "kind", "revision"],
    )
    def test_of_another_scope_or_kind_stand_beside_it(self, store: Store, other: Hold) -> None:
        put(store, HOLD, other)
        assert self.held(store) == [HOLD, other]

    def test_the_last_one_is_found_even_when_it_is_over(self, store: Store) -> None:
        put(store, HOLD)
        scope = Scope("alpha", "p", "f")
        with store.read() as session:
            assert endpoints.hold_of(session, scope, HoldKind.AUTH) == HOLD
            assert endpoints.hold_of(session, scope, HoldKind.QUOTA) is None
            assert endpoints.hold_of(session, Scope("beta", "p", "f"), HoldKind.AUTH) is None

    def test_the_last_one_is_of_a_scope_that_the_launch_fell_under(self, store: Store) -> None:
        mine = replace(HOLD, kind=HoldKind.CONFIG, pod="p", revision="r1")
        older = replace(mine, revision="", until=START + MINUTE)
        put(store, older, mine, replace(mine, pod="q", until=START + 99 * MINUTE))
        put(store, replace(mine, revision="r2", until=START + 99 * MINUTE))
        with store.read() as session:
            found = endpoints.hold_of(session, Scope("alpha", "p", "f", "r1"), HoldKind.CONFIG)
        assert found == mine

    def test_a_success_releases_those_that_it_fell_under_but_that_vms_do_not_boot(self, store: Store) -> None:
        under = [
            HOLD,
            replace(HOLD, pod="p", kind=HoldKind.CONFIG, revision="r1"),
            replace(HOLD, kind=HoldKind.QUOTA),
        ]
        others = [
            replace(HOLD, pod="q"),
            replace(HOLD, flavor="g"),
            replace(HOLD, endpoint="beta"),
            replace(HOLD, pod="p", kind=HoldKind.BOOT),
            # Some clouds look for room later.
            replace(HOLD, flavor="f", kind=HoldKind.CAPACITY),
        ]
        put(store, *under, *others)
        with store.write() as session:
            endpoints.release_holds(session, endpoint="alpha", pod="p", flavor="f")
        assert self.held(store) == others

    def test_room_is_where_vms_run_that_were_launched_since(self, store: Store) -> None:
        full = replace(HOLD, flavor="f", kind=HoldKind.CAPACITY)
        others = [replace(full, flavor="g"), replace(full, endpoint="beta"), replace(HOLD, flavor="f")]
        put(store, full, *others)
        with store.write() as session:
            endpoints.release_capacity(session, "alpha", {"f": START, "h": START + MINUTE})
        assert self.held(store) == [full, *others]
        with store.write() as session:
            endpoints.release_capacity(session, "alpha", {"f": START + MINUTE})
        assert self.held(store) == others

    def test_a_vm_that_is_gone_may_have_made_room_in_the_quota_of_its_endpoint(self, store: Store) -> None:
        quota = replace(HOLD, kind=HoldKind.QUOTA)
        over = replace(quota, endpoint="gamma", until=START + MINUTE)
        others = [HOLD, replace(quota, endpoint="beta"), over]
        put(store, quota, *others)
        with store.write() as session:
            for name in ("alpha", "gamma"):
                endpoints.release_quota(session, name, START + 2 * MINUTE)
        assert self.held(store, 2) == [replace(quota, until=START + 2 * MINUTE), *others]

    def test_of_configurations_that_have_changed_are_dropped(self, store: Store) -> None:
        of_pod, of_endpoint = replace(HOLD, pod="p", revision="p1"), replace(HOLD, revision="e1")
        untied, of_another = replace(HOLD, kind=HoldKind.QUOTA), replace(of_pod, pod="q", revision="q1")
        put(store, of_pod, of_endpoint, untied, of_another)
        same, changed = Scope("alpha", "p", "f", "p1", "e1"), Scope("alpha", "p", "f", "p2", "e2")
        with store.write() as session:
            assert endpoints.drop_outdated_holds(session, [same]) == []
            # Not known, or not configured at the moment, is not changed.
            assert endpoints.drop_outdated_holds(session, [Scope("alpha", "p", "f")]) == []
            assert endpoints.drop_outdated_holds(session, []) == []
        with store.write() as session:
            assert endpoints.drop_outdated_holds(session, [changed]) == [of_pod, of_endpoint]
        assert self.held(store) == [untied, of_another]

    @pytest.mark.parametrize("pod", [None, "p", ""])
    def test_are_dropped_when_a_person_says_so(self, store: Store, pod: str | None) -> None:
        mine, other, elsewhere = replace(HOLD, pod="p"), replace(HOLD, pod="q"), replace(HOLD, endpoint="beta")
        put(store, HOLD, mine, other, elsewhere)
        dropped = {None: [HOLD, mine, other], "p": [mine], "": [HOLD]}[pod]
        with store.write() as session:
            assert endpoints.reset_holds(session, endpoint="alpha", pod=pod) == dropped
        assert self.held(store) == [hold for hold in (HOLD, mine, other, elsewhere) if hold not in dropped]


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
