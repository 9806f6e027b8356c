"""What belongs to the place where an agent runs, not to one of its lives."""

import contextlib
import fcntl
import os
import secrets
import time

from vmdirac.agent.config import CannotStartError
from vmdirac.agent.files import write_secret

LOCK_TIMEOUT = 20.0  # seconds to wait until nothing of an earlier agent runs


def lock(directory: str) -> None:
    """Make sure that this is the only agent here. Raises CannotStartError.

    The keeper shares the lock, so that who gets it knows that no job of an earlier agent runs. Never given back.
    """
    descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_TIMEOUT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise CannotStartError(f"another agent runs in {directory}") from None
            time.sleep(0.2)


def read_nonce(directory: str) -> str:
    """The nonce that this VM registers with: made once, so that an agent that was restarted is known again."""
    path = os.path.join(directory, "nonce")
    with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        return file.read()
    nonce = secrets.token_urlsafe(32)
    write_secret(path, nonce.encode("ascii"))
    return nonce
