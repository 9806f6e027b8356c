"""When something is due next."""

FIRST_BACKOFF, LONGEST_BACKOFF = 0.5, 60.0


class Timer:
    """When something is due next: after failures in a row later and later, with full jitter."""

    def __init__(self, due: float = 0.0) -> None:
        self.due = due
        self.failures = 0

    def succeeded(self, due: float) -> None:
        self.due, self.failures = due, 0

    def failed(self, now: float, longest: float, chance: float, at_least: float = 0.0) -> None:
        """Try again, at the soonest in ``at_least`` seconds; ``chance`` is uniform in [0, 1)."""
        backoff = chance * min(longest, FIRST_BACKOFF * 2.0 ** min(self.failures, 16))
        self.due, self.failures = now + max(backoff, at_least), self.failures + 1
