"""What the agent says of itself: the VM's console output, and at the end a report to the manager."""

import collections
import contextlib
from datetime import datetime, timezone
from typing import Callable, Deque, Set

MOST_KEPT = 128 * 2**10  # bytes: with base64 it is a small message


class Log:
    """One line an event, with the UTC time. Secrets are never shown. The last lines are kept."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._kept: Deque[bytes] = collections.deque()
        self._size = 0
        self._dropped = 0
        self.secrets: Set[str] = set()

    def __call__(self, text: str, *values: object) -> None:
        line = text % values
        for secret in self.secrets:
            line = line.replace(secret, "***")
        line = "".join(letter if letter.isprintable() else "?" for letter in line[:2000])
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        encoded = f"{now} {line}\n".encode("utf-8", "replace")
        self._keep(encoded)
        with contextlib.suppress(OSError):  # nobody reads the console any more
            self._write(encoded)

    def kept(self, others: bytes = b"") -> bytes:
        """The last lines, and how many are not among them; after them what others said, without our secrets. With that
        fewer lines, so that it is not more than of the lines alone."""
        for secret in self.secrets:
            others = others.replace(secret.encode("utf-8"), b"***")
        others = others[-(MOST_KEPT // 2) :]
        lines, size, dropped = collections.deque(self._kept), self._size, self._dropped
        while size + len(others) > MOST_KEPT:
            size -= len(lines.popleft())
            dropped += 1
        mark = f"[{dropped} earlier lines are not kept]\n".encode() if dropped else b""
        return mark + b"".join(lines) + others

    def _keep(self, line: bytes) -> None:
        self._kept.append(line)
        self._size += len(line)
        while self._size > MOST_KEPT:
            self._size -= len(self._kept.popleft())
            self._dropped += 1
