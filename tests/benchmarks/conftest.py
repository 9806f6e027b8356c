from tests.fakes.fixtures import (
    database_kind,
    mariadb_tables,
    mariadb_url,
    postgresql_tables,
    postgresql_url,
    sqlite_tables,
    sqlite_template,
    sqlite_url,
    store,
)

__all__ = [
    "database_kind",
    "mariadb_tables",
    "mariadb_url",
    "postgresql_tables",
    "postgresql_url",
    "sqlite_tables",
    "sqlite_template",
    "sqlite_url",
    "store",
]
