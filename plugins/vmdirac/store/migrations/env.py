"""Alembic's entry: migrates the database that the configuration names, over a connection of its own."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from vmdirac.store.database import Store
from vmdirac.store.db_manager import VERSION_TABLE
from vmdirac.store.tables import Base
from vmdirac.store.tables.base import CleanText, Enumerated, UtcDateTime


def render_type(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """How our own types stand in a migration: an enumeration as the text that it is in the database."""
    if kind == "type" and isinstance(item, Enumerated):
        return "sa.String(length=32)"
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen_context.imports.add("from vmdirac.store.tables.base import UtcDateTime")
        return "UtcDateTime()"
    if kind == "type" and isinstance(item, CleanText):
        autogen_context.imports.add("from sqlalchemy.dialects import mysql")
        return 'sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")'
    return False


def run_migrations() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise ValueError("no database URL")
    # SQLite cannot alter a table in place; a batch copies it.
    batch = url.startswith("sqlite")
    store = Store(url)
    with store.engine.connect() as connection:
        if batch:
            # Or dropping the table that was copied would delete all rows that refer to it.
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            version_table=VERSION_TABLE,
            render_as_batch=batch,
            render_item=render_type,
        )
        with context.begin_transaction():
            context.run_migrations()
    store.close()


run_migrations()
