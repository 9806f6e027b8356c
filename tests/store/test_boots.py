"""What VMs that boot, and those that do not, teach: breakers and the states of images."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from tests.fakes.configured import an_image
from tests.fakes.rows import add_instance
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.states import ImageStatus, InstanceStatus
from vmdirac.store import boots, endpoints, instances, pods
from vmdirac.store.database import Store
from vmdirac.store.tables import ImageRow

MINUTE = timedelta(minutes=1)


def at(minute: float) -> datetime:
    return START + minute * MINUTE


@pytest.fixture(autouse=True)
def defined(store: Store) -> None:
    define(store, "r1", 0)


def define(store: Store, revision: str, minute: float) -> None:
    with store.write() as session:
        pods.note_images(session, [an_image(revision=revision)], at(minute))


def fails(store: Store, launched: float, found: float, **fields: object) -> None:
    """A VM that was launched did not boot, and that was found out."""
    with store.write() as session:
        request = {"flavor": "small", "revision": fields.pop("revision", "p1"), "endpoint_revision": "e1"}
        vm = add_instance(
            session, InstanceStatus.SUBMITTED, at=at(launched), last_launch_at=at(launched), request=request, **fields
        )
        boots.note_failure(session, vm, "silence", at(found))


def succeeds(store: Store, launched: float, called_in: float, **fields: object) -> None:
    with store.write() as session:
        request = {"flavor": "small", "revision": fields.pop("revision", "p1"), "endpoint_revision": "e1"}
        vm = add_instance(session, InstanceStatus.SUBMITTED, at=at(launched), request=request, **fields)
        row = instances.locked(session, vm.id)
        assert row is not None
        boots.note_success(session, row, at(called_in))


def breakers(store: Store) -> list[Hold]:
    with store.read() as session:
        return [hold for hold in endpoints.holds(session, START) if hold.kind is HoldKind.BOOT]


def breaker(store: Store) -> Hold:
    (found,) = breakers(store)
    return found


def image(store: Store) -> ImageRow:
    with store.read() as session:
        return session.scalars(select(ImageRow)).one()


class TestBreaker:
    def test_it_opens_for_a_minute_for_this_pod_on_this_endpoint(self, store: Store) -> None:
        fails(store, 1, 16)
        assert breaker(store) == Hold(
            "alpha", HoldKind.BOOT, "silence", at(16), at(17), pod="pod", failures=1, revision="p1"
        )

    def test_each_further_failure_holds_twice_as_long_up_to_an_hour(self, store: Store) -> None:
        minute, pauses = 0.0, []
        for _ in range(8):
            fails(store, minute, minute + 15)
            pauses.append((breaker(store).until - at(minute + 15)) / MINUTE)
            minute += 100
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
        assert (breaker(store).failures, breaker(store).since) == (8, at(15))

    def test_a_burst_of_launches_counts_once(self, store: Store) -> None:
        for found in (15, 15.5, 20):
            fails(store, 1, found)
        assert (breaker(store).failures, breaker(store).until) == (1, at(16))
        fails(store, 17, 32)
        assert breaker(store).failures == 2

    def test_others_pods_and_endpoints_have_their_own(self, store: Store) -> None:
        fails(store, 1, 16)
        fails(store, 1, 17, pod="other")
        fails(store, 1, 18, endpoint="beta")
        fails(store, 1, 19, revision="p2")
        assert {(hold.endpoint, hold.pod, hold.revision): hold.failures for hold in breakers(store)} == {
            ("alpha", "pod", "p1"): 1,
            ("alpha", "other", "p1"): 1,
            ("beta", "pod", "p1"): 1,
            ("alpha", "pod", "p2"): 1,
        }

    def test_one_vm_that_calls_in_closes_it_for_its_pod_on_its_endpoint(self, store: Store) -> None:
        fails(store, 1, 16)
        fails(store, 1, 16, pod="other")
        fails(store, 1, 16, endpoint="beta")
        succeeds(store, 1, 17)
        assert {(hold.endpoint, hold.pod) for hold in breakers(store)} == {("alpha", "other"), ("beta", "pod")}

    def test_a_vm_of_an_older_configuration_says_nothing_of_this_one(self, store: Store) -> None:
        fails(store, 1, 16)
        succeeds(store, 1, 17, revision="p0")
        assert breaker(store).failures == 1

    def test_and_the_next_failure_is_the_first_again(self, store: Store) -> None:
        for minute in (0, 100, 200):
            fails(store, minute, minute + 15)
        succeeds(store, 300, 301)
        fails(store, 400, 415)
        assert (breaker(store).failures, breaker(store).until) == (1, at(416))


class TestImage:
    def test_the_first_vm_that_calls_in_validates_it(self, store: Store) -> None:
        fails(store, 1, 16)
        succeeds(store, 20, 21)
        row = image(store)
        assert (row.status, row.changed_at, row.failures, row.failed_at) == (ImageStatus.VALIDATED, at(21), 0, None)
        succeeds(store, 30, 31)
        assert image(store).changed_at == at(21)

    def test_a_vm_of_an_older_definition_says_nothing_about_this_one(self, store: Store) -> None:
        define(store, "r2", 10)
        succeeds(store, 9, 11)
        fails(store, 9, 24)
        assert (image(store).status, image(store).failures) == (ImageStatus.NEW, 0)
        succeeds(store, 10, 25)
        assert image(store).status is ImageStatus.VALIDATED

    def test_of_an_image_that_is_not_known_nothing_is_noted(self, store: Store) -> None:
        succeeds(store, 1, 2, image="other")
        fails(store, 1, 16, image="other")
        assert (image(store).status, image(store).failures) == (ImageStatus.NEW, 0)
        assert breaker(store).failures == 1

    def fail_times(self, store: Store, times: int, first_minute: float = 0) -> None:
        for number in range(times):
            minute = first_minute + 100 * number
            for endpoint in ("alpha", "beta"):
                fails(store, minute, minute + 15, endpoint=endpoint)

    def test_after_so_many_bursts_without_any_success_it_is_in_error(self, store: Store) -> None:
        self.fail_times(store, boots.MAX_FAILURES - 1)
        assert (image(store).status, image(store).failures) == (ImageStatus.NEW, boots.MAX_FAILURES - 1)
        fails(store, 1000, 1015)
        row = image(store)
        assert (row.status, row.changed_at) == (ImageStatus.ERROR, at(1015))
        assert row.error_message == "none of its VMs ever booted, in 5 tries; the last one: silence"

    def test_once_validated_it_is_never_in_error(self, store: Store) -> None:
        succeeds(store, 1, 2)
        self.fail_times(store, 3 * boots.MAX_FAILURES, 10)
        assert (image(store).status, image(store).failures) == (ImageStatus.VALIDATED, 0)
        assert breakers(store), "launches are held all the same"

    @pytest.mark.parametrize("way", ["reset", "defined anew", "a VM called in late"])
    def test_there_is_a_way_back(self, store: Store, way: str) -> None:
        self.fail_times(store, boots.MAX_FAILURES)
        if way == "reset":
            with store.write() as session:
                assert pods.reset_image(session, "worker", at(2000))
        elif way == "defined anew":
            define(store, "r2", 2000)
        else:
            succeeds(store, 400, 2000)
        row = image(store)
        assert row.status is (ImageStatus.VALIDATED if way == "a VM called in late" else ImageStatus.NEW)
        assert (row.changed_at, row.failures, row.error_message) == (at(2000), 0, "")

    def test_after_a_reset_all_tries_are_there_again(self, store: Store) -> None:
        self.fail_times(store, boots.MAX_FAILURES)
        with store.write() as session:
            pods.reset_image(session, "worker", at(2000))
        self.fail_times(store, boots.MAX_FAILURES - 1, 2001)
        assert image(store).status is ImageStatus.NEW

    def test_one_endpoint_where_nothing_boots_does_not_condemn_it(self, store: Store) -> None:
        """It has its breaker; the other one may boot it."""
        with store.write() as session:
            pods.note_images(session, [an_image(revision="i1")], at(0), used_on={"worker": {"alpha", "beta"}})
        self.fail_times(store, 3 * boots.MAX_FAILURES)
        assert image(store).status is ImageStatus.NEW
        for number in range(boots.MAX_FAILURES):
            fails(store, 5000 + 100 * number, 5015 + 100 * number, endpoint="beta")
        assert image(store).status is ImageStatus.ERROR
