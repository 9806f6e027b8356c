"""Transactions mean the same on all three databases."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance, instance_row
from tests.hooks.children import in_processes
from vmdirac.store.database import CONFLICT_TRIES, Store
from vmdirac.store.tables import EndpointRow, InstanceRow


def names(store: Store) -> list[str]:
    with store.read() as session:
        return list(session.scalars(select(EndpointRow.name).order_by(EndpointRow.id)))


def endpoint(name: str) -> EndpointRow:
    return EndpointRow(name=name, changed_at=START)


def test_a_write_is_committed_at_its_end(store: Store) -> None:
    with store.write() as session:
        session.add(endpoint("a"))
    assert names(store) == ["a"]


def test_a_write_that_raises_leaves_nothing(store: Store) -> None:
    def write(*, broken: bool) -> None:
        with store.write() as session:
            session.add(endpoint("a"))
            session.flush()
            if broken:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(broken=True)
    assert names(store) == []


def test_a_read_writes_nothing(store: Store) -> None:
    with store.read() as session:
        session.add(endpoint("a"))
        session.flush()
    assert names(store) == []


def test_what_was_read_can_be_looked_at_later(store: Store) -> None:
    with store.write() as session:
        session.add(endpoint("a"))
    with store.read() as session:
        row = session.scalars(select(EndpointRow)).one()
    assert row.name == "a"


def test_nobody_reads_what_is_not_committed(store: Store) -> None:
    with store.write() as session:
        session.add(endpoint("a"))
        session.flush()
        assert names(store) == []
    assert names(store) == ["a"]


@on_servers
def test_a_count_in_a_transaction_sees_what_was_committed_since_it_began(store: Store) -> None:
    """No snapshot of the beginning: limits are counted after the locks were got. (SQLite lets nobody in between.)"""
    with store.write() as session:
        assert session.scalars(select(EndpointRow)).all() == []
        with store.write() as other:
            other.add(endpoint("a"))
        assert len(session.scalars(select(EndpointRow)).all()) == 1


class TestSQLite:
    @pytest.fixture
    def stranger(self, sqlite_store: Store) -> Callable[[], str]:
        """Tries to write from outside, without any patience; how that ended."""
        file = sqlite_store.engine.url.database or ""

        def try_to_write() -> str:
            with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    return str(error)
                return "it could"

        return try_to_write

    def test_a_write_locks_before_it_reads(self, sqlite_store: Store, stranger: Callable[[], str]) -> None:
        with sqlite_store.write() as session:
            session.scalars(select(EndpointRow)).all()
            assert stranger() == "database is locked"
        assert stranger() == "it could"

    def test_a_read_locks_nobody_out(self, sqlite_store: Store, stranger: Callable[[], str]) -> None:
        with sqlite_store.read() as session:
            session.scalars(select(EndpointRow)).all()
            assert stranger() == "it could"

    def test_foreign_keys_are_checked(self, sqlite_store: Store) -> None:
        with pytest.raises(IntegrityError), sqlite_store.write() as session:
            session.execute(
                text(
                    "INSERT INTO vmdirac_decisions (tick_id, pod, endpoint, jobs, waiting_cpu, active, in_flight,"
                    " warranted, planned, launched, failed, reasons)"
                    " VALUES (99, 'p', 'e', 0, 0, 0, 0, 0, 0, 0, 0, '[]')"
                )
            )

    @pytest.mark.slow
    def test_processes_that_open_a_fresh_file_at_once_all_get_in(self, tmp_path: Path) -> None:
        def write() -> str:
            try:
                with Store(f"sqlite:///{file}").write() as session:
                    session.execute(text("CREATE TABLE IF NOT EXISTS t (a INTEGER)"))
            except OperationalError as error:
                return str(error)
            return ""

        for number in range(40):
            file = tmp_path / f"{number}.db"
            assert in_processes(write, 6) == [""] * 6


class TestTransact:
    def test_gives_back_what_the_work_gave(self, store: Store) -> None:
        assert store.transact(lambda session: session.scalar(text("SELECT 42"))) == 42

    @pytest.mark.parametrize(
        "error",
        [
            pytest.param(ZeroDivisionError, id="of another kind"),
            pytest.param(lambda: OperationalError("s", {}, Exception(1205, "Lock wait timeout")), id="no conflict"),
            pytest.param(lambda: IntegrityError("s", {}, Exception(1048, "Column cannot be null")), id="bad row"),
        ],
    )
    def test_an_error_that_is_no_conflict_is_not_tried_again(
        self, sqlite_store: Store, error: Callable[[], Exception]
    ) -> None:
        tries = []

        def work(session: Session) -> None:
            tries.append(session)
            raise error()

        with pytest.raises(type(error())):
            sqlite_store.transact(work)
        assert len(tries) == 1

    def test_gives_up_after_some_tries(self, sqlite_store: Store) -> None:
        tries = []

        def work(session: Session) -> None:
            tries.append(session)
            raise OperationalError("s", {}, Exception(1213, "Deadlock found"))

        with pytest.raises(OperationalError, match="Deadlock"):
            sqlite_store.transact(work)
        assert len(tries) == CONFLICT_TRIES

    @on_servers
    def test_a_deadlock_is_tried_again(self, store: Store) -> None:
        with store.write() as session:
            first, second = add_instance(session).id, add_instance(session).id
        both_have_one = threading.Barrier(2)
        tries: list[int] = []

        def transact(mine: int, others: int) -> None:
            is_first_try = [True]

            def work(session: Session) -> None:
                tries.append(mine)
                for id_ in (mine, others):
                    row = session.scalar(select(InstanceRow).where(InstanceRow.id == id_).with_for_update())
                    assert row is not None
                    row.jobs += 1
                    session.flush()
                    if is_first_try.pop() if is_first_try else False:
                        both_have_one.wait(60)

            store.transact(work)

        with ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(transact, first, second), pool.submit(transact, second, first)]:
                future.result()
        # Who is tried again may meet the other one a second time.
        assert len(tries) >= 3, "one of the two was tried again"
        with store.read() as session:
            assert [session.get_one(InstanceRow, id_).jobs for id_ in (first, second)] == [2, 2]

    @on_servers
    def test_a_row_that_somebody_else_inserts_meanwhile_is_found_in_the_next_try(self, store: Store) -> None:
        nobody_saw_it = threading.Barrier(2)

        def insert_if_missing(_: int) -> int:
            is_first_try = [True]

            def work(session: Session) -> int:
                found = session.scalar(select(EndpointRow.id).where(EndpointRow.name == "a"))
                if is_first_try.pop() if is_first_try else False:
                    nobody_saw_it.wait(60)
                if found is not None:
                    return found
                row = endpoint("a")
                session.add(row)
                session.flush()
                return row.id

            return store.transact(work)

        with ThreadPoolExecutor(2) as pool:
            one, other = pool.map(insert_if_missing, range(2))
        assert one == other
        assert names(store) == ["a"]


def test_the_url_and_its_password_are_not_in_the_stores_repr() -> None:
    store = Store("postgresql+psycopg://vmdirac:treasure@db.example.org/vmdirac")
    assert "treasure" not in repr(store) + repr(store.engine) + repr(store.__dict__)


def test_two_rows_with_one_identity_are_refused_and_the_store_goes_on(store: Store) -> None:
    with store.write() as session:
        session.add(instance_row(cloud_id="x"))
    with pytest.raises(IntegrityError), store.write() as session:
        session.add(instance_row(cloud_id="x"))
    with store.write() as session:
        session.add(instance_row(cloud_id="y"))
