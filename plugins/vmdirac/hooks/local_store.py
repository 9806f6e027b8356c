"""The local cloud on disk: its VMs' directories below one root, and how they come into being in one step."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from vmdirac.hooks.local_machine import FINISHED, MACHINES, Machine
from vmdirac.model.errors import CapacityError, CloudError, ConfigError, TransientError

LOCK_PATIENCE = 30.0
"""Seconds to wait for another process's turn: a launch holds the lock for about 0.1 s."""

_STAGING = "staging"
_CLOUD_ID = re.compile(r"vm-[0-9a-f]{20}")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_NOT_USABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ENOLCK,
    errno.EOPNOTSUPP,
}


class VmRecord(BaseModel):
    """What a VM was launched with. Written once, before it exists for anybody.

    :param digest: hash of everything in the launch request that must be the same when it is repeated.
    :param launched_at: UTC.
    """

    model_config = ConfigDict(frozen=True)

    installation: str
    token: str
    name: str
    boot_image: str
    flavor: str
    processors: int
    memory_mb: int
    tags: dict[str, str]
    digest: str
    launched_at: datetime
    boot_delay: float
    boot_fault: Literal["fail", "hang", "die"] | None


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Have a file for oneself, among processes and threads. Raises TransientError after 30 s in vain.

    The kernel takes the lock from a process that dies.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TransientError(f"the local cloud is busy: {file} stays locked") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def typed_errors(root: Path) -> Iterator[None]:
    """Turn what the operating system says no with into a typed error that names the root."""
    try:
        yield
    except OSError as error:
        kind: type[CloudError] = TransientError
        if error.errno in _NO_ROOM:
            kind = CapacityError
        elif error.errno in _NOT_USABLE:
            kind = ConfigError
        raise kind(f"the local cloud cannot use its root directory {root}: {error.strerror}") from error


class LocalStore:
    """All VMs of one local cloud, whoever they belong to.

    :param root: created, with what is above it, by :meth:`prepare`.
    """

    def __init__(self, root: Path) -> None:
        # A VM's processes are known by the path of its disk, so it must always be spelled in one way.
        self.root = Path(os.path.realpath(root))
        self._machines = self.root / MACHINES
        self._finished = self.root / FINISHED
        self._staging = self.root / _STAGING

    def prepare(self) -> None:
        """Make the directories that are missing, for this user's eyes only. Raises OSError."""
        for directory in (self.root, self._machines, self._finished, self._staging):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody launches meanwhile. Raises TransientError if it cannot be had in time."""
        with exclusive(self.root / "lock"):
            yield

    def machines(self) -> list[Machine]:
        """The VMs that exist, in a stable order."""
        return [Machine(entry) for entry in sorted(self._machines.iterdir()) if _CLOUD_ID.fullmatch(entry.name)]

    def machine(self, cloud_id: str) -> Machine | None:
        """The VM that exists under this id."""
        return self._known(self._machines, cloud_id)

    def finished(self, cloud_id: str) -> Machine | None:
        """What is kept of a VM that is gone. Of its files only record, state and console are left."""
        return self._known(self._finished, cloud_id)

    def _known(self, parent: Path, cloud_id: str) -> Machine | None:
        # An id that we did not make may hold anything, even "../".
        if not _CLOUD_ID.fullmatch(cloud_id) or not (parent / cloud_id).exists():
            return None
        return Machine(parent / cloud_id)

    def stage(self, record: VmRecord, user_data: bytes) -> Path:
        """Write a VM's directory where nobody looks. Only with the store locked."""
        # With the lock ours, whatever lies here was left by a launch that was killed.
        for left in self._staging.iterdir():
            shutil.rmtree(left)
        directory = Path(tempfile.mkdtemp(dir=self._staging))
        staged = Machine(directory)
        staged.disk.mkdir(mode=0o700)
        for file, content in (
            (staged.record, record.model_dump_json().encode()),
            (staged.user_data, user_data),
            (staged.lock, b""),
            (staged.console, b""),
        ):
            _write_durably(file, content)
        return directory

    def publish(self, staged: Path, cloud_id: str) -> Machine:
        """Make a staged VM exist, whole, in one step."""
        return Machine(staged.rename(self._machines / cloud_id))


def cloud_id_of(installation: str, token: str) -> str:
    """The id of the VM of a launch token. It follows from the token, so one token can never have two VMs."""
    return "vm-" + hashlib.sha256(f"{installation}\n{token}".encode()).hexdigest()[:20]


def read_record(machine: Machine) -> VmRecord:
    """What the VM was launched with.

    Raises FileNotFoundError if it is gone meanwhile, ConfigError if its record is damaged: then it cannot be said
    whose it is, and no list without it is complete.
    """
    try:
        return VmRecord.model_validate_json(machine.record.read_bytes())
    except FileNotFoundError:
        # A VM that is gone took its whole directory with it.
        if not machine.directory.exists():
            raise
    except ValidationError:
        pass
    raise ConfigError(f"{machine.record} is damaged or missing: see docs/local-cloud.md on how to clean up")


def _write_durably(file: Path, content: bytes) -> None:
    """Write so that a power cut after the directory's rename leaves no half of it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
