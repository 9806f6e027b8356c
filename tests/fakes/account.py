"""What is behind a fake cloud's API: the VMs of one account, in memory or, where processes die, in a file."""

from __future__ import annotations

import fcntl
import pickle
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from vmdirac.model.cloud import CloudState, LaunchRequest
from vmdirac.model.errors import ErrorKind


@dataclass
class Machine:
    """A VM as its cloud knows it. It stays here when it is gone, so that tests can count what ever was."""

    cloud_id: str
    installation: str
    request: LaunchRequest
    tags: dict[str, str]
    launched_at: datetime
    state: CloudState = CloudState.RUNNING
    delete_asked_at: datetime | None = None
    console: str = ""
    message: str = ""
    fault: ErrorKind | None = None
    interrupted: bool = False

    @property
    def gone(self) -> bool:
        return self.state is CloudState.TERMINATED


@dataclass
class Inventory:
    machines: dict[str, Machine] = field(default_factory=dict)

    def new_id(self) -> str:
        return f"vm-{len(self.machines) + 1:04}"


class Account(Protocol):
    def opened(self) -> AbstractContextManager[Inventory]:
        """The inventory, for this block's eyes and hands alone."""


class MemoryAccount:
    """An account that ends with its process."""

    def __init__(self) -> None:
        self._inventory = Inventory()

    @contextmanager
    def opened(self) -> Iterator[Inventory]:
        yield self._inventory


class FileAccount:
    """An account that outlives the processes that use it, and that they share."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def opened(self) -> Iterator[Inventory]:
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            inventory = pickle.loads(self._path.read_bytes()) if self._path.exists() else Inventory()
            yield inventory
            fresh = self._path.with_suffix(".new")
            fresh.write_bytes(pickle.dumps(inventory))
            fresh.replace(self._path)
