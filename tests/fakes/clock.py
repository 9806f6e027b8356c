"""Time that passes only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 14, 9, 0, 0, 250_001, tzinfo=UTC)
"""When tests begin; with microseconds, so that a database that drops them is found out."""


class Clock:
    """A clock for whoever takes one as an argument."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, *, seconds: float = 0, minutes: float = 0) -> None:
        self.now += timedelta(seconds=seconds, minutes=minutes)
