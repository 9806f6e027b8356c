"""One launch of a token at a time on this machine, for Nova itself would make a VM for each."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vmdirac.hooks.own_directory import own_directory
from vmdirac.model.errors import TransientError

PATIENCE = 90.0
"""Seconds: longer than a launch may take."""


@contextmanager
def locked(names: Iterable[str]) -> Iterator[None]:
    """Hold a lock for each of the names. Raises TransientError if another process keeps one for long."""
    directory = own_directory("launches")
    files = sorted({hashlib.sha256(name.encode()).hexdigest() for name in names})
    with ExitStack() as locks:
        # All take them in one order, so that nobody waits for whoever waits for him.
        for name in files:
            locks.enter_context(_locked(directory / name))
        yield


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it before may have removed it: then it is nobody's lock any more.
            if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise TransientError(
                    "another process of this machine has been launching the same VM for long"
                ) from None
            time.sleep(0.02)
        except FileNotFoundError:
            pass
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
