"""Waiting for what real processes do, without saying how long it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds after which a test gives up; never how long it takes."""

LONGEST_PAUSE = 0.3


def wait_until(condition: Callable[[], T], what: str | Callable[[], str]) -> T:
    """The first true answer of the condition; `what` says what we wait for, once it is in vain."""
    deadline = time.monotonic() + PATIENCE
    pause = 0.01
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"in vain waited until {what if isinstance(what, str) else what()}")
        time.sleep(pause)
        # Asking costs a real cloud more than what is waited for.
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return answer
