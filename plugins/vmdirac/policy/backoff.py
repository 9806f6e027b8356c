"""How long a delete that failed waits for its next try, and when a person has to look."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

FIRST_PAUSE: Final = timedelta(minutes=1)
LONGEST_PAUSE: Final = timedelta(hours=1)
NEEDS_A_PERSON_AFTER: Final = 5
"""Deletes in vain after which somebody has to look; they are asked for all the same, once an hour."""


def delete_is_due(attempts: int, failed_at: datetime | None, now: datetime) -> bool:
    """Whether a delete is to be asked for (again): at once, and after each failure later, from a minute up to an hour.

    :param attempts: how often it was asked for.
    :param failed_at: when that last failed; ``None``: it did not.
    """
    if failed_at is None:
        return True
    pause: timedelta = FIRST_PAUSE * 2 ** min(max(0, attempts - 1), 16)
    return now - failed_at >= min(LONGEST_PAUSE, pause)


def needs_a_person(attempts: int) -> bool:
    """Whether so many deletes in vain are a person's business."""
    return attempts >= NEEDS_A_PERSON_AFTER
