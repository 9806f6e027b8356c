"""Our tables come to be, and come to be the same, by every way that Airflow takes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from tests.fakes.clock import START
from tests.fakes.rows import add_instance
from tests.servers import airflow_environment
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.db_manager import VERSION_TABLE, VmdiracDBManager, alembic_config
from vmdirac.store.tables import Base

pytestmark = pytest.mark.slow

TABLES = {*Base.metadata.tables, VERSION_TABLE}


@pytest.fixture
def manager(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[VmdiracDBManager]:
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", database_url)
    with managing() as manager:
        yield manager


@contextmanager
def managing() -> Iterator[VmdiracDBManager]:
    manager = VmdiracDBManager(None)
    yield manager
    manager.session.close()
    manager.session.get_bind().dispose()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty database."""
    store = Store(database_url)
    yield store
    store.close()


def tables(store: Store) -> set[str]:
    return set(inspect(store.engine).get_table_names())


def differences(store: Store) -> list[object]:
    """What Alembic would put into the next migration."""

    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared: object) -> bool:
        return not (kind == "table" and name == VERSION_TABLE)

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        found: list[object] = compare_metadata(context, Base.metadata)
    return found


def by_orm(manager: VmdiracDBManager) -> None:
    manager.initdb()  # type: ignore[no-untyped-call]


def by_migrations(manager: VmdiracDBManager) -> None:
    manager.initdb(use_migration_files=True)  # type: ignore[no-untyped-call]


def by_upgrade(manager: VmdiracDBManager) -> None:
    manager.upgradedb()  # type: ignore[no-untyped-call]


def is_migrated() -> bool:
    # As Airflow does: a manager of its own for each question.
    with managing() as manager:
        return bool(manager.check_migration())  # type: ignore[no-untyped-call]


Way = Callable[[VmdiracDBManager], None]
ways = pytest.mark.parametrize("way", [by_orm, by_migrations, by_upgrade])


@ways
def test_an_empty_database_gets_all_tables_at_the_newest_version(
    manager: VmdiracDBManager, store: Store, way: Way
) -> None:
    assert not is_migrated()
    way(manager)
    assert tables(store) == TABLES
    assert is_migrated()
    assert differences(store) == []


@ways
def test_a_database_that_is_up_to_date_stays_as_it_is(manager: VmdiracDBManager, store: Store, way: Way) -> None:
    by_migrations(manager)
    with store.write() as session:
        id_ = add_instance(session, cloud_id="kept").id
    with managing() as next_time:
        way(next_time)
    with store.read() as session:
        kept = instances.get(session, id_)
    assert kept is not None
    assert kept.cloud_id == "kept"
    assert is_migrated()


def test_migrations_make_what_the_code_needs(manager: VmdiracDBManager, store: Store) -> None:
    """Alembic does not compare everything: precision of times and case of names are looked at by using them."""
    by_migrations(manager)
    with store.write() as session:
        lower, upper = add_instance(session, cloud_id="abc"), add_instance(session, cloud_id="ABC")
        changed = instances.change(session, lower, START, "x" * 100_000, console="y" * 1_000_000)
    assert changed
    assert lower.created_at == START
    assert upper.cloud_id == "ABC"


def test_migrations_can_be_taken_back(manager: VmdiracDBManager, store: Store, database_url: str) -> None:
    by_migrations(manager)
    command.downgrade(alembic_config(database_url), "base")
    assert tables(store) == {VERSION_TABLE}


def test_our_tables_are_not_dropped_with_airflows(manager: VmdiracDBManager, store: Store) -> None:
    by_orm(manager)
    with store.engine.connect() as connection:
        manager.drop_tables(connection)  # type: ignore[no-untyped-call]
        connection.commit()
    assert tables(store) == TABLES


def test_every_kind_of_character_of_a_url_reaches_alembic() -> None:
    url = "mysql+pymysql://user:p%40ss%25word@localhost/x?unix_socket=/tmp/%(here)s"
    assert alembic_config(url).get_main_option("sqlalchemy.url") == url


@pytest.mark.parametrize("database_url", [pytest.param("mariadb", marks=pytest.mark.server)], indirect=True)
def test_on_mariadb_every_text_is_compared_with_case(manager: VmdiracDBManager, store: Store) -> None:
    by_migrations(manager)
    with store.read() as session:
        collations = session.execute(
            text(
                "SELECT DISTINCT collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
                " AND table_name <> :version AND collation_name IS NOT NULL"
            ),
            {"version": VERSION_TABLE},
        )
        assert set(collations.scalars()) == {"utf8mb4_bin"}


@pytest.mark.slow
@pytest.mark.airflow
def test_airflow_migrates_our_database_and_a_reset_of_its_own_leaves_ours(tmp_path: Path) -> None:
    environment = dict(os.environ)
    airflow_environment.isolate(environment, tmp_path)

    def airflow(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "airflow", *arguments], env=environment, cwd=tmp_path, check=True)

    airflow("db", "migrate")
    store = Store(f"sqlite:///{tmp_path / 'vmdirac.db'}")
    assert tables(store) == TABLES
    assert differences(store) == []
    with store.write() as session:
        id_ = add_instance(session).id
    store.close()
    with closing(sqlite3.connect(tmp_path / "airflow.db")) as airflows:
        names = {name for (name,) in airflows.execute("SELECT name FROM sqlite_master")}
    assert "dag" in names
    assert not {name for name in names if name.startswith("vmdirac")}

    airflow("db", "reset", "-y")
    with store.read() as session:
        assert instances.get(session, id_) is not None
    store.close()
