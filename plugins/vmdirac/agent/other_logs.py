"""What others on the VM said: the pilot, the boot, the system. It is sent with the agent's own log at the end."""

import contextlib
import os
import stat
import subprocess
from typing import List, Tuple

MOST = 24 * 2**10  # bytes of each, its last
TIMEOUT = 3.0  # seconds for one that a command shows

JOURNAL = ("journalctl", "--quiet", "--no-pager", "--boot", "--lines=400", "--output=short-iso")
COMMANDS = (
    (*JOURNAL, "--unit=vmdirac-pilot.service"),
    (*JOURNAL, "--priority=warning"),
)
"""Where systemd keeps them; the second tells what the system itself complains of."""


class OtherLogs:
    """:param paths: files; one that is not there, or is no plain file, is left out.

    :param journal: whether systemd's journal is asked too.
    """

    def __init__(self, paths: Tuple[str, ...] = (), *, journal: bool = False) -> None:
        self._paths, self._commands = paths, COMMANDS if journal else ()

    def read(self) -> bytes:
        """The end of each, below a line that names it. Only what says something is named."""
        parts: List[bytes] = []
        for path in self._paths:
            parts += _section(path, _end_of_file(path))
        for command in self._commands:
            parts += _section(" ".join(command), _said(command))
        return b"".join(parts)


def _section(name: str, content: bytes) -> List[bytes]:
    if not content:
        return []
    return [f"--- {name} ---\n".encode("utf-8", "replace"), content, b"" if content.endswith(b"\n") else b"\n"]


def _end_of_file(path: str) -> bytes:
    with contextlib.suppress(OSError):
        # Not blocking, because it may be a pipe that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                return os.pread(descriptor, MOST, max(0, status.st_size - MOST))
        finally:
            os.close(descriptor)
    return b""


def _said(command: Tuple[str, ...]) -> bytes:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603
            command,
            check=False,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return done.stdout[-MOST:]
    return b""
