"""The load that is reported."""

import collections
from typing import Deque, Tuple


class LoadAverage:
    """Averages what it is told over a timespan in seconds; 0: only the last value counts."""

    def __init__(self, timespan: float = 0.0) -> None:
        self.timespan = timespan
        self._values: Deque[Tuple[float, float]] = collections.deque()  # when, and how much it was

    def note(self, now: float, load: float) -> float:
        """Take one more value and return the average of those within the timespan."""
        self._values.append((now, load))
        while self._values[0][0] < now - self.timespan:
            self._values.popleft()
        return sum(value for _, value in self._values) / len(self._values)
