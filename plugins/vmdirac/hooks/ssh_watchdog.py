"""Ends what takes too long: what waits on a connection wakes up when the connection is closed under it.

paramiko's own time-outs leave gaps: a server that sends a byte now and then, or opens a channel and says no more, could
keep a thread for ever.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Watchdog:
    """Watches over one connection."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._bite: str | None = None

    @property
    def reason(self) -> str | None:
        """What took too long; ``None``: nothing did."""
        return self._bite

    def guard(self, connection: socket.socket) -> None:
        """Watch over this socket too."""
        with self._lock:
            self._sockets.append(connection)
            late = self._bite is not None
        if late:
            _cut(connection)

    @contextmanager
    def within(self, seconds: float, what: str) -> Iterator[None]:
        """Cut the connection if the block takes longer."""
        timer = threading.Timer(seconds, self._cut_all, [f"{what} took longer than {seconds:g} s"])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut_all(self, reason: str) -> None:
        with self._lock:
            self._bite = self._bite or reason
            sockets = list(self._sockets)
        for connection in sockets:
            _cut(connection)


def _cut(connection: socket.socket) -> None:
    # Closing alone would not wake a thread that reads from it.
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
