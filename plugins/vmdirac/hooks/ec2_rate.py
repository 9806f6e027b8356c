"""EC2's allowance of launches, kept on our side: whoever asks for more is refused by EC2, and other calls with it.

Each launch task is a process of its own, so what is left of an allowance is kept in a file, for all of this machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from vmdirac.hooks.own_directory import own_directory

LAUNCHES_AT_ONCE = 1000.0
LAUNCHES_A_SECOND = 2.0
"""EC2's resource rate limit of RunInstances, for an account in a region."""


class TokenBucket:
    """A bucket as EC2 has it: full at first, refilled at a steady rate, never above what it holds.

    :param file: keeps how full it is. Without it, or with one that cannot be read, the bucket is full.
    :param clock: seconds of a clock that all processes and boots of this machine share.
    """

    def __init__(
        self,
        file: Path,
        size: float = LAUNCHES_AT_ONCE,
        rate: float = LAUNCHES_A_SECOND,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file, self._size, self._rate, self._clock = file, size, rate, clock

    def take(self) -> float:
        """Take one token: 0, or the seconds until there is one, and then none was taken."""
        with self._file.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            now = self._clock()
            tokens = self._tokens(file.read(), now)
            wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
            if not wait:
                file.truncate(0)
                file.write(json.dumps([tokens - 1, now]))
                file.flush()
            return wait

    def _tokens(self, kept: str, now: float) -> float:
        try:
            tokens, at = json.loads(kept)
            # A clock that was set back must not empty it for as long as it was wrong.
            return min(self._size, float(tokens) + max(0.0, now - float(at)) * self._rate)
        except (ValueError, TypeError):
            return self._size


def bucket_of(*account: str) -> TokenBucket:
    """The bucket of an account in a region, one for all processes of this machine."""
    name = hashlib.sha256("\n".join(account).encode()).hexdigest()
    return TokenBucket(own_directory("ec2-launches") / name)
