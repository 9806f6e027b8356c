"""Databases with all tables and nothing in them, again and again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from tests.fakes.fixtures import empty, make_tables
from vmdirac.store.database import Store


class Database(Protocol):
    url: str

    def clear(self) -> None:
        """Nothing is in it any more."""


class SqliteFile:
    """A file of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self._template, self._file = folder / "template.db", folder / "vmdirac.db"
        make_tables(f"sqlite:///{self._template}")
        self.url = f"sqlite:///{self._file}"

    def clear(self) -> None:
        # The log of what a killed process wrote last goes with its file.
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._template, self._file)


class OnServer:
    """A database on a server, with its tables."""

    def __init__(self, url: str) -> None:
        self.url = make_tables(url)

    def clear(self) -> None:
        # None that lives longer: processes are forked here.
        store = Store(self.url)
        empty(store)
        store.close()
