"""What the database servers of the tests have in common."""

import importlib.util
import os
import pwd
import re
import shlex
import signal
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import sqlalchemy

from tests.servers.process import GuardedProcess, unprivileged_user

START_DEADLINE_S = 120


class DatabaseServer(ABC):
    """A private database server: own data directory, reachable over a Unix socket in it, gone after `stop`.

    No network port, so nobody else can reach it and no port can be taken; the directory belongs to the
    server's user alone. It isn't synced to disk (the machine may crash, then the tests are over), but every
    commit is written, so transactions survive a kill -9 of the server. Its clock shows the time of Kathmandu,
    a quarter to an hour off every common zone, so that code that mixes up local time and UTC is found out.
    """

    title: ClassVar[str]
    driver: ClassVar[str]
    users: ClassVar[tuple[str, ...]]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, logs: Path) -> None:
        self.log = logs / f"{self.title.lower()}.log"
        self._process: GuardedProcess | None = None
        self._before: list[GuardedProcess] = []
        self.directory = Path()

    @classmethod
    @abstractmethod
    def programs(cls) -> dict[str, Path | None]:
        """The programs it consists of and where they are (None: not installed)."""

    @abstractmethod
    def commands(self) -> tuple[Sequence[str], Sequence[str]]:
        """The command that fills the data directory, and the one that then serves it."""

    @abstractmethod
    def url(self, database: str | None = None) -> str:
        """SQLAlchemy URL of a database; without a name, of the one that is always there."""

    @abstractmethod
    def drop_database(self, name: str) -> None:
        """Remove a database; connections to it that a test left open are cut."""

    @classmethod
    def unavailable(cls) -> str | None:
        """Why it can't be started here, or None."""
        absent = [name for name, path in cls.programs().items() if path is None]
        if absent:
            return f"{cls.title} is not installed ({', '.join(absent)}): python -m tests.servers.install"
        if importlib.util.find_spec(cls.driver) is None:
            return f"the Python driver {cls.driver} of {cls.title} is not installed"
        return None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerError: it didn't; the message has the end of its log.
        """
        user = unprivileged_user(*self.users)
        self.directory = Path(tempfile.mkdtemp(prefix=f"vmdirac-{self.title.lower()}-"))
        if user:
            entry = pwd.getpwnam(user)
            os.chown(self.directory, entry.pw_uid, entry.pw_gid)
        fill, serve = self.commands()
        self._process = GuardedProcess(
            ["/bin/sh", "-c", f"{shlex.join(fill)} && exec {shlex.join(serve)}"],
            log=self.log,
            cwd=self.directory,
            user=user,
            stop_signal=self.stop_signal,
            remove=self.directory,
        )
        try:
            self._process.wait_until(self._answers, seconds=START_DEADLINE_S, what=self.title)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it and remove its data; its log stays. May be called again."""
        # The first one removes the directory.
        for process in (self._process, *reversed(self._before)):
            if process:
                process.stop()

    def break_off(self) -> None:
        """Stop serving, as at a restart: whoever is connected is cut off. The data stay, for `go_on`."""
        os.kill(self.process.pid, self.stop_signal)
        self.process.wait_for_exit(seconds=START_DEADLINE_S)

    def go_on(self) -> None:
        """Serve the same data again, and wait until it answers.

        Raises:
            ServerError: it didn't; the message has the end of its log.
        """
        self._before.append(self.process)
        _, serve = self.commands()
        self._process = GuardedProcess(
            serve,
            log=self.log,
            cwd=self.directory,
            user=unprivileged_user(*self.users),
            stop_signal=self.stop_signal,
        )
        self._process.wait_until(self._answers, seconds=START_DEADLINE_S, what=self.title)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> GuardedProcess:
        """The running server."""
        assert self._process is not None, "not started"
        return self._process

    def create_database(self, name: str) -> str:
        """Make an empty database of that name (lower case letters, digits, _) and return its SQLAlchemy URL."""
        self._execute(f"CREATE DATABASE {checked(name)}")
        return self.url(name)

    def _execute(self, statement: str, **values: str) -> Sequence[sqlalchemy.Row[tuple[object, ...]]]:
        """Run one statement as the administrator, outside a transaction (for CREATE DATABASE)."""
        engine = sqlalchemy.create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            result = connection.execute(sqlalchemy.text(statement), values)
            return result.all() if result.returns_rows else []

    def _answers(self) -> bool:
        try:
            self._execute("SELECT 1")
        except sqlalchemy.exc.OperationalError:
            return False
        return True


def checked(name: str) -> str:
    """The name of a database, safe to be put into a statement."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,50}", name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name
