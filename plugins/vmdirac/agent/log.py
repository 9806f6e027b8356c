"""What the agent says of itself: it becomes the VM's console output."""

import contextlib
from datetime import datetime, timezone
from typing import Callable, Set


class Log:
    """One line an event, with the UTC time: it becomes the VM's console output. Secrets are never shown."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.secrets: Set[str] = set()

    def __call__(self, text: str, *values: object) -> None:
        line = text % values
        for secret in self.secrets:
            line = line.replace(secret, "***")
        line = "".join(letter if letter.isprintable() else "?" for letter in line[:2000])
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        with contextlib.suppress(OSError):  # nobody reads the console any more
            self._write(f"{now} {line}\n".encode("utf-8", "replace"))
