"""Waiting for what real processes do, without saying how long it takes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds after which a test gives up; never how long it takes."""


def wait_until(condition: Callable[[], T], what: str) -> T:
    """The first true answer of the condition."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"in vain waited until {what}")
        time.sleep(0.01)
    return answer
