"""Ctrl-C and its kin, noticed at moments of our choosing.

A handler that raised an exception could do so between the start of a process and the note of it, and the process
would be left over. So the handlers only count, and the demo looks at the count wherever it waits.
"""

from __future__ import annotations

import signal
import time
from contextlib import AbstractContextManager
from types import FrameType, TracebackType
from typing import Any

from demo.problems import StopAskedError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption(AbstractContextManager["Interruption"]):
    """While it is open, signals that ask the process to end are counted. Main thread only."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interruption:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(number)

    def pause(self, seconds: float) -> None:
        """Wait a moment.

        :raises StopAskedError: if a signal came, before or meanwhile.
        """
        self.check()
        time.sleep(seconds)
        self.check()

    def check(self) -> None:
        """:raises StopAskedError: if a signal came."""
        if self.received:
            raise StopAskedError(self.received[0])
