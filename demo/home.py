"""The demo's ``AIRFLOW_HOME``: whose it is, its secrets, and how it is emptied."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from demo.problems import NOT_POSSIBLE, DemoError
from vmdirac.hooks.local_machine import remove_tree

LOCK = "demo.lock"
"""Held while a demo runs here. That it exists also says that the directory is the demo's own, to be emptied at will."""

USER = "admin"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a home must keep over restarts: what one key encrypted or signed, another one can't read."""

    fernet_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    api_secret_key: str = field(repr=False)
    vmdirac_secret_key: str = field(repr=False)
    password: str = field(repr=False)

    @classmethod
    def new(cls) -> Secrets:
        """Random ones."""
        return cls(
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt_secret=secrets.token_hex(64),
            api_secret_key=secrets.token_hex(32),
            vmdirac_secret_key=secrets.token_hex(32),
            password=secrets.token_urlsafe(12),
        )


@dataclass(frozen=True, slots=True)
class Home:
    """A directory that is ours alone as long as the lock is held."""

    path: Path

    @property
    def logs(self) -> Path:
        """Where the components and the tasks log."""
        return self.path / "logs"

    @property
    def passwords(self) -> Path:
        """The file in which Airflow's simple auth manager looks passwords up."""
        return self.path / "passwords.json"

    @property
    def picture(self) -> Path:
        """The result."""
        return self.path / "fractal.png"

    def announce(self, url: str) -> None:
        """Tell whoever finds the lock taken who has it, and where this demo is to be seen."""
        (self.path / LOCK).write_text(f"{os.getpid()} {url}\n")

    @property
    def last_port(self) -> int | None:
        """Where an earlier demo listened that this one goes on with; None: there was none."""
        try:
            return int((self.path / "port").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def keep_port(self, port: int) -> None:
        """Let the next demo that goes on here listen there: VMs of this one call nowhere else."""
        (self.path / "port").write_text(str(port))

    def prepare(self) -> Secrets:
        """Make what is missing of directories and secrets; the secrets."""
        self.logs.mkdir(exist_ok=True)
        file = self.path / "secrets.json"
        if not file.exists():
            write_private(file, json.dumps(asdict(Secrets.new()), indent=2))
        kept = Secrets(**json.loads(file.read_text()))
        write_private(self.passwords, json.dumps({USER: kept.password}))
        return kept

    def empty(self) -> None:
        """Delete everything in it but the lock.

        :raises DemoError: if something can't be deleted.
        """
        for entry in self.path.iterdir():
            if entry.name == LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                remove_tree(entry)
            else:
                entry.unlink()
        left = [entry.name for entry in self.path.iterdir() if entry.name != LOCK]
        if left:
            raise DemoError(f"{self.path / left[0]} can't be deleted: delete {self.path} yourself.", NOT_POSSIBLE)


@contextmanager
def opened(path: Path) -> Iterator[Home]:
    """The home, locked. If nothing is put into it, or nothing is left in it, it is gone in the end.

    :raises DemoError: if it can't be written, holds something that is not ours, or another demo runs in it.
    """
    lock = _lock(path)
    try:
        home = Home(path)
        home.announce("address not known yet")
        yield home
    finally:
        if [entry.name for entry in path.iterdir()] == [LOCK]:
            (path / LOCK).unlink()
            path.rmdir()
        os.close(lock)


def write_private(file: Path, text: str) -> None:
    """Write a file that nobody else may read; after a crash it has the old content or the new one."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    draft.replace(file)


def _lock(path: Path) -> int:
    file = path / LOCK
    while True:
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            if not file.exists() and any(path.iterdir()):
                raise DemoError(
                    f"{path} holds something that is not the demo's, so it is left alone: move it away.", NOT_POSSIBLE
                )
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DemoError(
                f"{path} can't be written: {error.strerror}. The demo keeps everything there: make the checkout"
                " writable for you, or take one that is.",
                NOT_POSSIBLE,
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            number, _, url = file.read_text(errors="replace").strip().partition(" ")
            os.close(descriptor)
            raise DemoError(
                f"A demo is already running here (process {number}, {url}):"
                " stop it with Ctrl-C there, or use that one.",
                NOT_POSSIBLE,
            ) from error
        if _is_at(descriptor, file):
            return descriptor
        # Its last user removed the whole home between our opening and our locking of it.
        os.close(descriptor)


def _is_at(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
