"""A private PostgreSQL server for the tests."""

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.servers import programs
from tests.servers.database import DatabaseServer, checked


class PostgresServer(DatabaseServer):
    """PostgreSQL, the newest version installed, with its default isolation level (READ COMMITTED)."""

    title: ClassVar[str] = "PostgreSQL"
    driver: ClassVar[str] = "psycopg"
    users: ClassVar[tuple[str, ...]] = ("postgres",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": doesn't wait for clients
    unsynced: ClassVar[Mapping[str, str]] = {"fsync": "off", "full_page_writes": "off"}
    """Settings by which it doesn't wait for the disk."""

    @classmethod
    def programs(cls) -> dict[str, Path | None]:
        return programs.postgresql()

    def commands(self) -> tuple[Sequence[str], Sequence[str]]:
        data = self.directory / "data"
        paths = self.programs()
        fill = [
            *(str(paths["initdb"]), "-D", str(data), "-U", "vmdirac"),
            *("--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync"),
        ]
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "timezone": "Asia/Kathmandu",
            **self.unsynced,
        }
        serve = [str(paths["postgres"]), "-D", str(data)]
        serve += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return fill, serve

    def url(self, database: str | None = None) -> str:
        return f"postgresql+psycopg://vmdirac@/{database or 'postgres'}?host={self.directory}"

    def drop_database(self, name: str) -> None:
        self._execute(f"DROP DATABASE {checked(name)} WITH (FORCE)")
