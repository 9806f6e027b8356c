"""Calls that may hang, and what wakes the main thread from its sleep."""

import collections
import contextlib
import os
import queue
import select
import signal
import threading
from typing import Callable, Tuple

from vmdirac.agent.manager import Answer


class Line:
    """Carries one call at a time in a thread of its own; its answer is handed over in the main thread."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.busy = False
        self._wake = wake
        self._asked: queue.Queue[Tuple[Callable[[], Answer], Callable[[Answer], None]]] = queue.Queue()
        self._answered: collections.deque[Tuple[Callable[[Answer], None], Answer]] = collections.deque()
        # A daemon, so that a call that hangs doesn't keep the agent from ending.
        threading.Thread(target=self._carry, daemon=True).start()

    def send(self, call: Callable[[], Answer], then: Callable[[Answer], None]) -> None:
        self.busy = True
        self._asked.put((call, then))

    def collect(self) -> None:
        """Hand over the answer, if one has come."""
        if self._answered:
            then, answer = self._answered.popleft()
            self.busy = False
            then(answer)

    def _carry(self) -> None:
        while True:
            call, then = self._asked.get()
            try:
                answer = call()
            except Exception as error:  # noqa: BLE001 - without an answer, to no memory say, it would be busy for ever
                answer = Answer(0, {}, repr(error))
            self._answered.append((then, answer))
            self._wake()


class Bell:
    """Wakes the main thread: rung by the lines, and by Python itself for each signal that arrives."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it rings already
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> None:
        """Return when it rings, or after so many seconds."""
        select.select([self._read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
