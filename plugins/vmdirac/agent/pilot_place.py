"""Where the agent and the pilot that runs beside it meet: a directory in which each sees what the other does.

Both are processes of their own, so that the pilot goes on when the agent is started again. There are three files:

- ``lock``: locked as long as the pilot, or who is to start it, lives. It ends with them, however they end.
- ``go``: what the agent made when the pilot may begin. In it is what the pilot is told.
- ``started``: what ``go`` becomes when the pilot begins. A rename, so that either it begins or the agent has taken the
  file away before, and both know which.
"""

import contextlib
import fcntl
import json
import os
import time
from typing import Dict, Optional

from vmdirac.agent.files import write_secret

PATIENCE = 2.0  # seconds until a lock is another pilot's for certain


class PilotPlace:
    """One of them a VM."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock, self._go, self._started = (os.path.join(directory, name) for name in ("lock", "go", "started"))

    # What the pilot's side does

    def enter(self) -> int:
        """Be the pilot's side, and wait to be let go; the descriptor of the lock, to be left open.

        Raises OSError, BlockingIOError if a pilot is there already: whoever starts one again means no second one.
        """
        os.makedirs(self._directory, 0o700, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # The agent that looks holds it too, for a moment.
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise
                time.sleep(0.05)
        # Of an earlier pilot, perhaps from before a reboot: the agent says anew whether this one may begin.
        for path in (self._go, self._started):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return descriptor

    def begin(self) -> Optional[Dict[str, str]]:
        """Begin, if the pilot may: the variables that it is told. None: not yet. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._go, self._started)
            with open(self._started, encoding="utf-8") as file:
                return {str(key): str(value) for key, value in json.load(file).items()}
        return None

    # What the agent does

    def here(self) -> bool:
        """Whether there is a pilot, running or waiting. Raises OSError if that cannot be seen."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def works(self) -> bool:
        """Whether the pilot runs, or may begin at any moment. Raises OSError if that cannot be seen."""
        # In this order, for it is renamed from the one to the other.
        return (os.path.lexists(self._go) or os.path.lexists(self._started)) and self.here()

    def let_begin(self, environment: Dict[str, str]) -> bool:
        """Let a pilot that waits begin; whether there was one. Raises OSError."""
        if self.works() or not self.here():
            return False
        write_secret(self._go, json.dumps(environment).encode("ascii"))
        return True

    def hold_back(self) -> None:
        """See to it that a pilot that has not begun does not. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._go)
