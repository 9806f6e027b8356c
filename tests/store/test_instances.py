"""Instances change by compare-and-set, and every change leaves its line in the history (invariant 13)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.fakes.clock import START
from tests.fakes.rows import add_instance, instance_row
from vmdirac.model.cloud import CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.model.transitions import TransitionNotPermittedError
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.tables import HistoryRow, InstanceRow

LATER = START + timedelta(minutes=7)


def made(store: Store, status: InstanceStatus = InstanceStatus.RUNNING, **fields: Any) -> Instance:
    with store.write() as session:
        return add_instance(session, status, **fields)


def seen(store: Store, instance: Instance) -> Instance:
    """The instance as it is now."""
    with store.read() as session:
        found = instances.get(session, instance.id)
    assert found is not None
    return found


def history(store: Store, instance: Instance) -> list[HistoryRow]:
    with store.read() as session:
        return instances.history(session, instance.id)


class TestChange:
    def test_writes_what_was_asked_for_and_when(self, store: Store) -> None:
        before = made(store, InstanceStatus.NEW)
        with store.write() as session:
            assert instances.change(session, before, LATER, "made", to=InstanceStatus.SUBMITTED, cloud_id="i-1")
        assert seen(store, before) == replace(
            before,
            status=InstanceStatus.SUBMITTED,
            cloud_id="i-1",
            version=before.version + 1,
            status_since=LATER,
            changed_at=LATER,
        )

    def test_of_something_else_leaves_the_status_and_its_age(self, store: Store) -> None:
        before = made(store)
        with store.write() as session:
            assert instances.change(session, before, LATER, "asked", delete_attempts=1)
        after = seen(store, before)
        assert after == replace(before, delete_attempts=1, version=before.version + 1, changed_at=LATER)

    @pytest.mark.parametrize(
        "stale",
        [{"version": 7}, {"status": InstanceStatus.SUBMITTED}, {"id": 10**9}],
        ids=lambda stale: next(iter(stale)),
    )
    def test_of_an_instance_that_somebody_else_changed_does_nothing(self, store: Store, stale: dict[str, Any]) -> None:
        before = made(store)
        with store.write() as session:
            old = replace(before, **stale)
            assert not instances.change(session, old, LATER, "too late", to=InstanceStatus.STOPPING, forced=True)
        assert seen(store, before) == before
        assert len(history(store, before)) == 1

    def test_twice_from_one_look_is_done_once(self, store: Store) -> None:
        before = made(store)
        with store.write() as session:
            assert instances.change(session, before, LATER, "first", forced=True)
            assert not instances.change(session, before, LATER, "second", forced=False)
        assert seen(store, before).forced
        assert [line.reason for line in history(store, before)] == ["made by a test", "first"]

    def test_that_the_life_of_an_instance_does_not_have_is_refused(self, store: Store) -> None:
        before = made(store, InstanceStatus.HALTED)
        with pytest.raises(TransitionNotPermittedError), store.write() as session:
            instances.change(session, before, LATER, "risen", to=InstanceStatus.RUNNING)
        assert seen(store, before) == before
        assert len(history(store, before)) == 1

    def test_leaves_a_line_with_what_the_vm_last_reported(self, store: Store) -> None:
        before = made(store, load=1.25, jobs=3, transferred_files=2**40, transferred_bytes=2**50)
        with store.write() as session:
            instances.change(
                session,
                before,
                LATER,
                "asked to drain: é漢🚀\x00",
                to=InstanceStatus.STOPPING,
                drain_phase=DrainPhase.ASKED,
                stop_reason=StopReason.IDLE,
            )
        first, last = history(store, before)
        assert (first.status, first.reason, first.at) == (InstanceStatus.RUNNING, "made by a test", START)
        assert (last.status, last.drain_phase, last.at) == (InstanceStatus.STOPPING, DrainPhase.ASKED, LATER)
        assert last.reason == "asked to drain: é漢🚀\ufffd"
        assert (last.load, last.jobs) == (1.25, 3)
        assert (last.transferred_files, last.transferred_bytes) == (2**40, 2**50)

    @pytest.mark.parametrize("heard_before", [None, START])
    def test_of_a_silent_vm_is_not_made_if_it_called_in_meanwhile(
        self, store: Store, heard_before: datetime | None
    ) -> None:
        before = made(store, heard_at=heard_before)
        with store.write() as session:
            instances.note_seen(session, [{"id": before.id, "heard_at": LATER}])
            assert not instances.change(
                session, before, LATER, "silent", to=InstanceStatus.STALLED, if_still_silent=True
            )
            assert instances.change(session, before, LATER, "whatever it says", to=InstanceStatus.STALLED)
        silent = made(store, heard_at=heard_before)
        with store.write() as session:
            assert instances.change(session, silent, LATER, "silent", to=InstanceStatus.STALLED, if_still_silent=True)

    def test_of_one_leaves_the_others(self, store: Store) -> None:
        before, other = made(store), made(store)
        with store.write() as session:
            instances.change(session, before, LATER, "it", forced=True)
        assert seen(store, other) == other
        assert len(history(store, other)) == 1


class TestLists:
    def test_unfinished_are_all_that_are_not_halted_in_order(self, store: Store) -> None:
        all_ = [made(store, status) for status in InstanceStatus]
        with store.read() as session:
            found = instances.unfinished(session)
        assert found == [item for item in all_ if item.status is not InstanceStatus.HALTED]

    def test_unfinished_are_not_those_whose_launch_was_refused(self, store: Store) -> None:
        made(store, InstanceStatus.ERROR, cloud_id=None, vm_gone=True)
        maybe = made(store, InstanceStatus.ERROR, cloud_id=None)
        with store.read() as session:
            assert instances.unfinished(session) == [maybe]

    def test_refused_are_found_again_by_their_tokens(self, store: Store) -> None:
        refused = made(store, InstanceStatus.ERROR, cloud_id=None, vm_gone=True)
        others = [
            made(store, InstanceStatus.ERROR, cloud_id=None, vm_gone=True),
            made(store, InstanceStatus.ERROR, cloud_id=None, vm_gone=True, endpoint="beta"),
            made(store, InstanceStatus.ERROR, cloud_id=None),
            made(store, InstanceStatus.HALTED, vm_gone=True),
        ]
        tokens = [refused.launch_token, *(item.launch_token for item in others[1:]), "no such token"]
        with store.read() as session:
            assert instances.refused(session, "alpha", tokens) == [refused]

    def test_unfinished_of_one_endpoint(self, store: Store) -> None:
        made(store, endpoint="beta")
        mine = made(store, endpoint="alpha")
        with store.read() as session:
            assert instances.unfinished(session, "alpha") == [mine]

    def test_due_are_new_ones_that_the_cloud_is_not_being_asked_for(self, store: Store) -> None:
        made(store, InstanceStatus.SUBMITTED)
        made(store, InstanceStatus.NEW, last_launch_at=START)
        due = [made(store, InstanceStatus.NEW), made(store, InstanceStatus.NEW, launch_attempts=1)]
        elsewhere = made(store, InstanceStatus.NEW, endpoint="beta")
        with store.read() as session:
            assert instances.due_for_launch(session, "alpha") == due
            assert instances.due_for_launch(session, "beta") == [elsewhere]
            assert instances.endpoints_due_for_launch(session) == ["alpha", "beta"]

    def test_endpoints_with_vms_are_those_that_are_not_finished(self, store: Store) -> None:
        made(store, InstanceStatus.HALTED, endpoint="alpha")
        for _ in range(2):
            made(store, InstanceStatus.STOPPING, endpoint="beta")
        with store.read() as session:
            assert instances.endpoints_with_vms(session) == {"beta"}

    def test_counts_by_state(self, store: Store) -> None:
        for status in (InstanceStatus.RUNNING, InstanceStatus.RUNNING, InstanceStatus.NEW, InstanceStatus.HALTED):
            made(store, status)
        made(store, InstanceStatus.ERROR, cloud_id=None)
        with store.read() as session:
            assert instances.counts(session) == {
                InstanceStatus.RUNNING: 2,
                InstanceStatus.NEW: 1,
                InstanceStatus.HALTED: 1,
                InstanceStatus.ERROR: 1,
            }
            assert instances.counts_with_vm(session) == {InstanceStatus.RUNNING: 2, InstanceStatus.HALTED: 1}

    def test_an_instance_that_does_not_exist(self, store: Store) -> None:
        with store.read() as session:
            assert instances.get(session, 10**9) is None
            assert instances.locked(session, 10**9) is None

    def test_frozen_requests_come_back_as_they_were_stored(self, store: Store) -> None:
        request = {"name": "n", "boot_image": "b", "flavor": "f", "user_data": "é漢🚀\n\t\"'\\ \x01 %s :x {{ }}"}
        one, other = made(store, request=request, secret_key_id="k"), made(store)
        with store.read() as session:
            found = instances.frozen_requests(session, [one.id])
        assert found == {one.id: (request, "k")}
        assert other.id not in found


class TestObservations:
    def test_are_no_change(self, store: Store) -> None:
        before, other = made(store, absences=1), made(store, absences=1)
        with store.write() as session:
            entry = {"id": before.id, "seen_at": LATER, "absences": 0, "cloud_state": CloudState.RUNNING}
            instances.note_seen(session, [entry])
        assert seen(store, before) == replace(before, seen_at=LATER, absences=0, cloud_state=CloudState.RUNNING)
        assert seen(store, other) == other
        assert len(history(store, before)) == 1

    def test_of_many_with_different_columns(self, store: Store) -> None:
        one, other = made(store), made(store)
        with store.write() as session:
            instances.note_seen(session, [{"id": one.id, "private_ip": "10.0.0.2"}])
            instances.note_seen(
                session, [{"id": one.id, "absences": 5}, {"id": other.id, "absences": 6, "private_ip": "10.0.0.1"}]
            )
        assert [(item.absences, item.private_ip) for item in (seen(store, one), seen(store, other))] == [
            (5, "10.0.0.2"),
            (6, "10.0.0.1"),
        ]

    def test_of_none_are_nothing_to_do(self, store: Store) -> None:
        with store.write() as session:
            instances.note_seen(session, [])
            instances.note_absent(session, [])

    def test_absences_add_up_and_are_no_change(self, store: Store) -> None:
        before, other = made(store, absences=1), made(store)
        with store.write() as session:
            instances.note_absent(session, [before])
        assert seen(store, before) == replace(before, absences=2)
        assert seen(store, other) == other

    def test_an_absence_is_not_counted_for_an_instance_that_changed_since_it_was_looked_for(self, store: Store) -> None:
        before = made(store, InstanceStatus.NEW)
        with store.write() as session:
            instances.change(session, before, LATER, "made", to=InstanceStatus.SUBMITTED, cloud_id="i-1")
            instances.note_absent(session, [before])
        assert seen(store, before).absences == 0


def test_a_locked_row_is_the_row_itself(store: Store) -> None:
    with store.write() as session:
        row = instance_row()
        instances.add(session, [row], "made")
    with store.write() as session:
        locked = instances.locked(session, row.id)
        assert locked is not None
        locked.load = 2.5
    with store.read() as session:
        assert session.get_one(InstanceRow, row.id).load == 2.5
