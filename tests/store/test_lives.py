"""Histories, as far as phases depend on them."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from vmdirac.model.phase import Moment
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.store import instances, lives
from vmdirac.store.database import Store

LATER = START + timedelta(hours=1)


def test_histories_come_by_place_in_their_order(store: Store) -> None:
    with store.write() as session:
        one = add_instance(session, pod="p")
        other = add_instance(session, pod="", endpoint="beta")
        instances.change(
            session, one, LATER, "asked", to=InstanceStatus.STOPPING, drain_phase=DrainPhase.ASKED, phase_since=LATER
        )
        found = lives.recent(session, START, 10)
    assert (found.instances, found.complete) == (2, True)
    [first, second] = found.by_place["p", "alpha"][0]
    assert first == Moment(first.id, START, InstanceStatus.RUNNING)
    assert second == Moment(second.id, LATER, InstanceStatus.STOPPING, DrainPhase.ASKED)
    assert first.id < second.id
    assert [len(history) for history in found.by_place["", "beta"]] == [1]
    with store.read() as session:
        assert list(lives.histories(session, [other.id])) == [other.id]


def test_the_newest_are_read_and_it_is_said_that_there_are_more(store: Store) -> None:
    with store.write() as session:
        for number in range(3):
            add_instance(session, pod=f"p{number}")
        found = lives.recent(session, START, 2)
    assert found.by_place.keys() == {("p1", "alpha"), ("p2", "alpha")}
    assert (found.instances, found.complete) == (2, False)


def test_to_what_is_older_nothing_has_happened(store: Store) -> None:
    with store.write() as session:
        add_instance(session)
        found = lives.recent(session, LATER, 2)
    assert found == lives.Lives({}, 1, complete=True)
