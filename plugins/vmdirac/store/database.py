"""The connection to our own database, the same way on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

T = TypeVar("T")

SQLITE_BUSY_TIMEOUT_SECONDS = 60
CONNECT_TIMEOUT_SECONDS = 10
CONFLICT_TRIES = 5
_WRITES = "vmdirac_writes"


class Store:
    """Our database. Cheap to make; make one in each process, never before a fork.

    :param url: SQLAlchemy URL; ``sqlite:///…``, ``postgresql+psycopg://…`` or ``mysql+pymysql://…``.
    """

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(url)

    @classmethod
    def from_config(cls) -> Store:
        """The database that ``[vmdirac] sql_alchemy_conn`` names."""
        from vmdirac.config.settings import database_url

        return cls(database_url())

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one consistent state where the database can, and changes nothing."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction: committed at the end of the block, rolled back if it raises.

        SQLite takes its write lock at once (``BEGIN IMMEDIATE``), so that what is read inside is still true when it is
        written; elsewhere the queries lock the rows that they are going to change.
        """
        with (
            self.engine.connect().execution_options(**{_WRITES: True}) as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def transact(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a transaction, again if another one was in the way: a deadlock, or both inserted one row.

        ``work`` may so run several times: what it does must be in the session or in what it returns.
        """
        for _ in range(CONFLICT_TRIES - 1):
            try:
                with self.write() as session:
                    return work(session)
            except DBAPIError as error:
                if not _is_conflict(error):
                    raise
        with self.write() as session:
            return work(session)

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _is_conflict(error: DBAPIError) -> bool:
    """Whether another transaction was in the way, so that the next try may succeed.

    PostgreSQL 40001 and 40P01, MariaDB 1213 and 1020: the database broke one of two off. PostgreSQL 23505, MariaDB
    1062: both looked for a row in vain and inserted it; the next try finds it. 23503, 1452: a row that was found and
    referred to is gone. MariaDB 1305: a deadlock has taken the savepoint away to which we wanted to go back.
    """
    state = getattr(error.orig, "sqlstate", None)
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return state in {"40001", "40P01", "23505", "23503"} or number in {1213, 1020, 1062, 1452, 1305}


def _create_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        # Who waits for a server that does not answer may be Airflow's own scheduler.
        parsed.update_query_dict({"connect_timeout": str(CONNECT_TIMEOUT_SECONDS), **parsed.query}),
        # Counting inside a transaction must see what others committed before it got its locks: not a snapshot.
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_recycle=1800,
    )


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself, or ours could not begin with the lock that it needs.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Of several processes that open a new file, all but one find it locked for this. The mode is the file's: one is
    # enough.
    with suppress(sqlite3.OperationalError):
        cursor.execute("PRAGMA journal_mode=WAL")
    # What is committed is on the disk: a launch that a power cut made us forget would be a VM that nobody knows.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
