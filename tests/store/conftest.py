import pytest

from tests.fakes.fixtures import (
    database_kind,
    mariadb_tables,
    mariadb_url,
    postgresql_tables,
    postgresql_url,
    sqlite_store,
    sqlite_tables,
    sqlite_template,
    sqlite_url,
    store,
)
from tests.store.job_queue import Queue
from vmdirac.store.database import Store

__all__ = [
    "database_kind",
    "mariadb_tables",
    "mariadb_url",
    "postgresql_tables",
    "postgresql_url",
    "sqlite_store",
    "sqlite_tables",
    "sqlite_template",
    "sqlite_url",
    "store",
]


@pytest.fixture
def jobs(store: Store) -> Queue:
    return Queue(store)
