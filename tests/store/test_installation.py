"""Who we are is decided once, whoever asks first."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from sqlalchemy import select

from tests.fakes.clock import START
from vmdirac.store.database import Store
from vmdirac.store.installation import hearing_since, installation_id, mark_hearing
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


def test_nobody_was_heard_before_the_manager_ever_served(store: Store) -> None:
    installation_id(store, START)
    with store.read() as session:
        assert hearing_since(session) is None


def test_silence_counts_from_when_the_manager_last_began_to_serve(store: Store) -> None:
    mark_hearing(store, START)
    made = installation_id(store, START)
    mark_hearing(store, LATER)
    with store.read() as session:
        assert hearing_since(session) == LATER
    assert installation_id(store, LATER) == made
