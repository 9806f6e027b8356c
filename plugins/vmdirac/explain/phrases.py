"""Pieces of sentences that the answers share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from vmdirac.store.tables import DecisionRow


def when(at: datetime, now: datetime) -> str:
    """Such as "2026-03-01 12:00:00 UTC (5 min ago)"."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC ({ago((now - at).total_seconds())})"


def ago(seconds: float) -> str:
    """An age in the unit that fits it."""
    if seconds < 0:
        return f"in {span(-seconds)}"
    return f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """A time in the unit that fits it."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def printable(text: str) -> str:
    """Text that somebody else wrote, fit for a terminal: nothing in it moves the cursor or changes colours."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text.expandtabs())


def reasons(row: DecisionRow) -> str:
    """The reasons of a decision as they read when it was taken."""
    return "; ".join(str(reason["sentence"]) for reason in row.reasons) or "nothing to do"


def place(row: DecisionRow) -> str:
    """Where the decision is about."""
    return f"{row.pod} on {row.endpoint}" if row.endpoint else row.pod


def counted(counts: Mapping[object, int]) -> str:
    """Such as "2 Running, 1 Submitted"; "none" if there is nothing."""
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"


def listed(items: Iterable[object], most: int = 8) -> str:
    """The first of them, and how many more there are."""
    found = [str(item) for item in items]
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
