"""The directory of one VM of the local cloud.

::

    <root>/machines/<id>/           the VM as long as the cloud lists it
        vm.json                     what was asked for; never changes
        user-data                   what it boots with
        lock                        held by whoever owns the VM: its supervisor, or who settles a dead one
        state.json                  how it is; written by the owner alone; missing until the supervisor runs
        terminate                   exists once its deletion was asked for
        console.log
        disk/                       home and working directory of its processes
    <root>/finished/<id>/           vm.json, state.json and console.log of a VM that is gone

Standard library only: the supervisor of a VM starts without Airflow.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

MACHINES = "machines"
FINISHED = "finished"

FINISHED_KEPT = 100
"""How many finished VMs keep their console and are remembered by their token."""

PENDING = "pending"
RUNNING = "running"
STOPPED = "stopped"
ERROR = "error"


class MachineState(NamedTuple):
    """How a VM is, and the supervisor that said so, by its number, its start time and the boot it ran under."""

    name: str
    message: str = ""
    pid: int = 0
    started: int = 0
    boot_id: str = ""

    @property
    def ended(self) -> bool:
        """It runs no more and never will."""
        return self.name in {STOPPED, ERROR}


class Machine:
    """One VM on disk. Whatever it reads raises FileNotFoundError once the VM is gone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.record = directory / "vm.json"
        self.user_data = directory / "user-data"
        self.lock = directory / "lock"
        self.console = directory / "console.log"
        self.disk = directory / "disk"
        self._state = directory / "state.json"
        self._termination = directory / "terminate"

    @property
    def cloud_id(self) -> str:
        return self.directory.name

    @contextmanager
    def owning(self) -> Iterator[bool]:
        """Try to own the VM meanwhile; False if somebody does, be it its supervisor.

        The kernel takes the lock from a process that dies, however it dies, so a free lock means that the
        supervisor is dead. Its children don't inherit it.
        """
        # Writable, because some network file systems lock nothing else exclusively.
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            # The VM may have been archived between the two calls, and then this lock is of no VM any more.
            if not os.path.samestat(os.fstat(descriptor), self.lock.stat()):
                raise FileNotFoundError(self.lock)
            yield True
        finally:
            os.close(descriptor)

    def read_state(self) -> MachineState | None:
        """How it is; None if its supervisor did not come so far (or a power cut lost what it wrote)."""
        try:
            return MachineState(**json.loads(self._state.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_state(self, state: MachineState) -> None:
        """Only for the owner. A reader sees the old state or the new one, never half of one."""
        draft = self.directory / "state.json.new"
        draft.write_text(json.dumps(state._asdict()))
        draft.replace(self._state)

    def ask_termination(self) -> None:
        """Have it deleted, whoever owns it and whatever dies meanwhile."""
        os.close(os.open(self._termination, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def termination_asked(self) -> bool:
        return self._termination.exists()

    def archive(self) -> None:
        """Take it out of the cloud. Only for the owner, and only once no process of it is left."""
        finished = self.directory.parents[1] / FINISHED
        finished.mkdir(mode=0o700, exist_ok=True)
        grave = finished / self.cloud_id
        # First of all: it may hold the VM's secret, which nobody needs any more.
        self.user_data.unlink(missing_ok=True)
        remove_tree(grave)
        self.directory.rename(grave)
        remove_tree(grave / self.disk.name)
        _forget_oldest(finished)


def remove_tree(directory: Path) -> None:
    """Delete a directory as far as possible; missing is fine."""
    if not directory.exists():
        return
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        # Jobs leave read-only directories behind (package caches are, on purpose).
        for parent, names, _ in os.walk(directory):
            for name in names:
                entry = Path(parent, name)
                if not entry.is_symlink():
                    with suppress(OSError):
                        entry.chmod(0o700)
        shutil.rmtree(directory, ignore_errors=True)


def _forget_oldest(finished: Path) -> None:
    ended = {}
    for grave in finished.iterdir():
        # Another process may be forgetting the same ones.
        try:
            ended[grave] = grave.stat().st_mtime
        except FileNotFoundError:
            continue
    for grave in sorted(ended, key=lambda each: ended[each], reverse=True)[FINISHED_KEPT:]:
        remove_tree(grave)
