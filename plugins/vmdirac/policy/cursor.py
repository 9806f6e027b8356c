"""How far the rows of a table that only grows have been counted.

Ids are given before transactions are committed: a row with a lower id may be seen after one with a higher. So ids that
were passed over are remembered for a while, and looked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

PATIENCE: Final = timedelta(minutes=15)
"""So long after they were passed over, ids are looked for: no task, and so no transaction of one, lasts as long. Most
of them belong to transactions that were rolled back, and are never seen."""

GAPS_AT_MOST: Final = 1000
"""So many gaps are remembered, the newest."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids from ``first`` to ``last`` that were passed over at ``since``."""

    first: int
    last: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Cursor:
    """All ids up to ``upto`` have been counted, but for those in gaps."""

    upto: int = 0
    gaps: tuple[Gap, ...] = ()

    def is_new(self, id_: int) -> bool:
        """Whether a row is still to be counted."""
        return id_ > self.upto or any(gap.first <= id_ <= gap.last for gap in self.gaps)


def advance(cursor: Cursor, counted: Iterable[int], now: datetime) -> Cursor:
    """The cursor when these ids, which were new, have been counted too; gaps that are too old are given up."""
    gaps = [gap for gap in cursor.gaps if now - gap.since < PATIENCE]
    upto = cursor.upto
    for id_ in sorted(counted):
        if id_ > upto:
            if id_ > upto + 1:
                gaps.append(Gap(upto + 1, id_ - 1, now))
            upto = id_
        else:
            gaps = [part for gap in gaps for part in _without(gap, id_)]
    return Cursor(upto, tuple(gaps[-GAPS_AT_MOST:]))


def _without(gap: Gap, id_: int) -> list[Gap]:
    if not gap.first <= id_ <= gap.last:
        return [gap]
    parts = (Gap(gap.first, id_ - 1, gap.since), Gap(id_ + 1, gap.last, gap.since))
    return [part for part in parts if part.first <= part.last]
