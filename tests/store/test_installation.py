"""Who we are is decided once, whoever asks first."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

from sqlalchemy import select

from tests.fakes.clock import START
from vmdirac.store.database import Store
from vmdirac.store.installation import DEAF_AFTER, MARK_EVERY, hearing_since, installation_id, mark_hearing
from vmdirac.store.tables import InstallationRow

LATER = START + timedelta(hours=1)


def test_the_id_is_made_once_and_stays(store: Store) -> None:
    made = installation_id(store, START)
    assert str(uuid.UUID(made)) == made
    assert installation_id(store, LATER) == made
    with store.read() as session:
        assert session.scalars(select(InstallationRow.created_at)).one() == START


def test_all_who_ask_at_once_get_the_same_id(store: Store) -> None:
    askers = 6
    together = Barrier(askers)

    def ask(_: int) -> str:
        together.wait(60)
        return installation_id(store, START)

    with ThreadPoolExecutor(askers) as pool:
        assert len(set(pool.map(ask, range(askers)))) == 1


def test_two_installations_are_two(store: Store, sqlite_url: str) -> None:
    other = Store(sqlite_url.replace("vmdirac.db", "other.db"))
    InstallationRow.metadata.create_all(other.engine)
    assert installation_id(store, START) != installation_id(other, START)
    other.close()


def heard_since(store: Store, now: datetime) -> datetime | None:
    with store.read() as session:
        return hearing_since(session, now)


def test_nobody_was_heard_before_the_manager_ever_served(store: Store) -> None:
    assert heard_since(store, START) is None
    installation_id(store, START)
    assert heard_since(store, START) is None


def test_silence_counts_from_when_the_manager_began_to_serve(store: Store) -> None:
    for mark in range(10):
        mark_hearing(store, START + mark * MARK_EVERY)
    assert heard_since(store, START + 9 * MARK_EVERY) == START


def test_a_restart_that_nobody_could_notice_is_none(store: Store) -> None:
    mark_hearing(store, START)
    mark_hearing(store, START + DEAF_AFTER)
    assert heard_since(store, START + DEAF_AFTER) == START


def test_after_a_pause_it_counts_anew_whatever_the_pause_came_from(store: Store) -> None:
    mark_hearing(store, START)
    made = installation_id(store, START)
    mark_hearing(store, LATER)
    assert heard_since(store, LATER) == LATER
    assert installation_id(store, LATER) == made


def test_while_nobody_marks_nobody_can_call_in(store: Store) -> None:
    mark_hearing(store, START)
    assert heard_since(store, START + DEAF_AFTER) == START
    assert heard_since(store, START + DEAF_AFTER + timedelta(seconds=1)) is None


def test_a_second_server_whose_clock_lags_takes_nothing_back(store: Store) -> None:
    mark_hearing(store, LATER)
    mark_hearing(store, LATER - timedelta(seconds=3))
    assert heard_since(store, LATER + DEAF_AFTER) == LATER
