"""EC2's allowance of launches, kept on our side: whoever asks for more is refused by EC2, and other calls with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LAUNCHES_AT_ONCE = 1000.0
LAUNCHES_A_SECOND = 2.0
"""EC2's resource rate limit of RunInstances, for an account in a region."""


class TokenBucket:
    """A bucket as EC2 has it: full at first, refilled at a steady rate, never above what it holds."""

    def __init__(
        self,
        size: float = LAUNCHES_AT_ONCE,
        rate: float = LAUNCHES_A_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size, self._rate, self._clock = size, rate, clock
        self._lock = threading.Lock()
        self._tokens, self._at = size, clock()

    def take(self) -> float:
        """Take one token: 0, or the seconds until there is one, and then none was taken."""
        with self._lock:
            now = self._clock()
            self._tokens = min(self._size, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens >= 1:
                self._tokens -= 1
                return 0.0
            return (1 - self._tokens) / self._rate


_buckets: dict[tuple[str, ...], TokenBucket] = {}
_buckets_lock = threading.Lock()


def bucket_of(*account: str) -> TokenBucket:
    """The bucket of an account in a region, one for all hooks of this process."""
    with _buckets_lock:
        return _buckets.setdefault(account, TokenBucket())
