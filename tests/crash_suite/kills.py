"""One deed, done again and again by a process that is killed each time one point later."""

from __future__ import annotations

import itertools
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from tests.crash_suite.points import Countdown
from tests.fakes.world import Installation
from tests.hooks.children import killed_while

W = TypeVar("W", bound=Installation)
W_co = TypeVar("W_co", bound=Installation, covariant=True)


class Ground(Protocol[W_co]):
    """A database and clouds that outlive the processes that use them."""

    def lay_out(self) -> None:
        """Bring everything to the moment of the deed, whatever was done here before."""

    def enter(self, countdown: Countdown | None) -> W_co:
        """What a new process finds there, with connections of its own; dying when the countdown says so."""


@dataclass
class Kills:
    """What came of the kills: points at which one was done, those that were made good, where they were, and what was
    wrong after the others."""

    points: int = 0
    survived: int = 0
    where: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def kill_at_each_point(
    ground: Ground[W],
    deed: Callable[[W], object],
    check: Callable[[W], None],
    points: Iterable[int] | None = None,
) -> Kills:
    """Kill a process at each point of the deed, and check each time what is made of it, until one comes to the end.

    :param check: lets time pass, and raises AssertionError if then anything is not as it should be.
    :param points: at which; None: at all. They must go on until after the last one.
    """
    kills = Kills()
    with tempfile.TemporaryDirectory() as folder:
        obituary = Path(folder) / "obituary"
        for number in points if points is not None else itertools.count():
            ground.lay_out()

            def run(number: int = number) -> None:
                deed(ground.enter(Countdown(number, obituary)))

            died = killed_while(run)
            where = obituary.read_text() if died else "at the end, alive"
            error = _error_of(ground, check)
            if error:
                kills.failures.append(f"point {number}, {where}: {error}")
            if not died:
                return kills
            kills.points += 1
            kills.survived += not error
            kills.where[where] += 1
    raise AssertionError("there were not points enough: the deed never came to its end")


def _error_of(ground: Ground[W], check: Callable[[W], None]) -> str:
    world = ground.enter(None)
    try:
        check(world)
    except Exception:  # noqa: BLE001 - what a crash has left may break anything
        return traceback.format_exc()
    finally:
        world.store.close()
    return ""
