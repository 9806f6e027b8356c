"""A private MariaDB server for the tests."""

import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import sqlalchemy

from tests.servers import programs
from tests.servers.database import DatabaseServer, checked


class MariaDBServer(DatabaseServer):
    """MariaDB with its default isolation level (REPEATABLE READ) and Debian's character set.

    That character set compares without regard to case (utf8mb4_general_ci), as on most users' servers.
    """

    title: ClassVar[str] = "MariaDB"
    driver: ClassVar[str] = "pymysql"
    users: ClassVar[tuple[str, ...]] = ("mysql",)
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    unsynced: ClassVar[tuple[str, ...]] = (
        "--innodb-flush-log-at-trx-commit=2",  # written at every commit, not synced
        "--innodb-flush-method=nosync",
        "--innodb-doublewrite=0",
    )
    """Options by which it doesn't wait for the disk."""

    @classmethod
    def programs(cls) -> dict[str, Path | None]:
        return programs.mariadb()

    def commands(self) -> tuple[Sequence[str], Sequence[str]]:
        paths = self.programs()
        both = [
            "--no-defaults",
            f"--datadir={self.directory / 'data'}",
            # Its own, for one that starts deletes all temporary tables in it, another server's too.
            f"--tmpdir={self.directory}",
            "--innodb-log-file-size=16M",
        ]
        fill = [
            str(paths["mariadb-install-db"]),
            *both,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ]
        serve = [
            str(paths["mariadbd"]),
            *both,
            f"--socket={self._socket}",
            f"--pid-file={self.directory / 'mariadbd.pid'}",
            "--skip-networking",
            *self.unsynced,
            "--innodb-buffer-pool-size=64M",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            "--default-time-zone=+05:45",
        ]
        return fill, serve

    def url(self, database: str | None = None) -> str:
        # The driver would make a context for TLS at each connection, and leave it unused.
        options = f"unix_socket={self._socket}&charset=utf8mb4&ssl_disabled=true"
        return f"mysql+pymysql://root@localhost/{database or 'mysql'}?{options}"

    def drop_database(self, name: str) -> None:
        # DROP DATABASE waits, a day long, for open transactions on its tables.
        users = self._execute("SELECT id FROM information_schema.processlist WHERE db = :name", name=name)
        for (user,) in users:
            with contextlib.suppress(sqlalchemy.exc.OperationalError):  # gone meanwhile
                self._execute(f"KILL {user}")
        self._execute(f"DROP DATABASE {checked(name)}")

    @property
    def _socket(self) -> Path:
        return self.directory / "mariadbd.sock"
