"""Fixtures that several folders of tests share; their conftest files import them."""

from __future__ import annotations

import functools
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import CompoundSelect, exists, literal, select, union_all

from tests.servers.database import DatabaseServer
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
    """A store with all tables and nothing in them, once on each kind of database.

    It is one for all tests: SQLAlchemy compiles each statement once then, which takes longer than running it.
    """
    # Asked for by name, so that whoever selects only SQLite starts no server.
    store: Store = request.getfixturevalue(f"{database_kind}_tables")
    empty(store)
    yield store
    store.close()


@pytest.fixture
def sqlite_store(sqlite_tables: Store) -> Iterator[Store]:
    """The same on SQLite alone, for what has nothing to do with the database."""
    empty(sqlite_tables)
    yield sqlite_tables
    sqlite_tables.close()


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


@pytest.fixture(scope="session")
def sqlite_tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(make_tables(f"sqlite:///{tmp_path_factory.mktemp('tables')}/vmdirac.db"))
    yield store
    store.close()


# Making all tables takes a server a second or two, emptying them a few milliseconds: so each server has one database
# with tables, and every test finds it empty. Its ids go on counting, so that nobody relies on them.


@pytest.fixture(scope="session")
def postgresql_tables(postgres_server: PostgresServer) -> Iterator[Store]:
    yield from _with_tables(postgres_server)


@pytest.fixture(scope="session")
def mariadb_tables(mariadb_server: MariaDBServer) -> Iterator[Store]:
    yield from _with_tables(mariadb_server)


def _with_tables(server: DatabaseServer) -> Iterator[Store]:
    store = Store(make_tables(server.create_database(f"with_tables_{secrets.token_hex(4)}")))
    yield store
    store.close()


@pytest.fixture
def postgresql_url(postgresql_tables: Store) -> str:
    empty(postgresql_tables)
    return url_of(postgresql_tables)


@pytest.fixture
def mariadb_url(mariadb_tables: Store) -> str:
    empty(mariadb_tables)
    return url_of(mariadb_tables)


def make_tables(url: str) -> str:
    """Make all tables in an empty database; its URL."""
    store = Store(url)
    Base.metadata.create_all(store.engine)
    store.close()
    return url


def url_of(store: Store) -> str:
    """By which another process finds it."""
    return store.engine.url.render_as_string(hide_password=False)


def empty(store: Store) -> None:
    """Delete everything in it but the tables. Most of them are empty: asked once, the database says which are not."""
    with store.write() as session:
        filled = set(session.scalars(_filled_tables()))
        for table in reversed(Base.metadata.sorted_tables):
            if table.name in filled:
                session.execute(table.delete())


@functools.cache
def _filled_tables() -> CompoundSelect[tuple[str]]:
    """Made once: then the database's driver need not compile it anew for each test."""
    tables = Base.metadata.sorted_tables
    return union_all(*(select(literal(table.name)).where(exists().select_from(table)) for table in tables))
