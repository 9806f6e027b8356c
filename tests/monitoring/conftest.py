from tests.fakes.fixtures import sqlite_store, sqlite_tables, sqlite_template, sqlite_url

__all__ = ["sqlite_store", "sqlite_tables", "sqlite_template", "sqlite_url"]
