"""Fixtures that several folders of tests share; their conftest files import them."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.mariadb import MariaDBServer
from tests.servers.postgres import PostgresServer
from vmdirac.store.database import Store
from vmdirac.store.tables import Base

on_servers = pytest.mark.parametrize(
    "database_kind",
    [
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("mariadb", marks=pytest.mark.server),
    ],
    indirect=True,
)
"""Runs a test of a store on the servers alone: SQLite lets one writer in at a time and has no such conflicts."""


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
        pytest.param("mariadb", marks=pytest.mark.server),
    ]
)
def database_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def store(request: pytest.FixtureRequest, database_kind: str) -> Iterator[Store]:
    """A store with all tables and nothing in them, once on each kind of database."""
    # Asked for by name, so that whoever selects only SQLite starts no server.
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgresql_url", "mariadb": "mariadb_url"}[database_kind]
    store = Store(request.getfixturevalue(fixture))
    yield store
    store.close()


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    store = Store(sqlite_url)
    yield store
    store.close()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A file with all tables: ``vmdirac.db`` in the test's own folder."""
    file = tmp_path / "vmdirac.db"
    shutil.copy(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "vmdirac.db"
    make_tables(f"sqlite:///{file}")
    return file


# Making all tables takes a server a second or two, emptying them a few milliseconds: so each server has one database
# with tables, and every test finds it empty. Its ids go on counting, so that nobody relies on them.


@pytest.fixture(scope="session")
def postgresql_tables(postgres_server: PostgresServer) -> str:
    return make_tables(postgres_server.create_database(f"with_tables_{secrets.token_hex(4)}"))


@pytest.fixture(scope="session")
def mariadb_tables(mariadb_server: MariaDBServer) -> str:
    return make_tables(mariadb_server.create_database(f"with_tables_{secrets.token_hex(4)}"))


@pytest.fixture
def postgresql_url(postgresql_tables: str) -> str:
    return emptied(postgresql_tables)


@pytest.fixture
def mariadb_url(mariadb_tables: str) -> str:
    return emptied(mariadb_tables)


def make_tables(url: str) -> str:
    """Make all tables in an empty database; its URL."""
    store = Store(url)
    Base.metadata.create_all(store.engine)
    store.close()
    return url


def emptied(url: str) -> str:
    """Delete all that is in them; the URL."""
    store = Store(url)
    empty(store)
    store.close()
    return url


def empty(store: Store) -> None:
    """Delete everything in it but the tables."""
    with store.write() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(table.delete())
