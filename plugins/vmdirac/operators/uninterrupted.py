"""A store whose transactions are not interrupted by SIGTERM, which Airflow sends to a task that is to end.

Airflow answers the signal by calling ``on_kill``, in the middle of whatever the task was doing. There it would wait for
the locks of its own interrupted transaction, until Airflow kills the process and nothing was written down.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sqlalchemy.orm import Session

from vmdirac.store.database import Store


class UninterruptedStore(Store):
    """Makes the signal wait until a transaction has ended."""

    @contextmanager
    def write(self) -> Iterator[Session]:
        with sigterm_waits(), super().write() as session:
            yield session


@contextmanager
def sigterm_waits() -> Iterator[None]:
    """A SIGTERM that comes in the block is handled at its end. Only the main thread handles signals: elsewhere there
    is nothing to be done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    # Not a blocked signal: another thread would get it, and Python would call the handler here all the same.
    before = signal.signal(signal.SIGTERM, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        if came:
            signal.raise_signal(signal.SIGTERM)
