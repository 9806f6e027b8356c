"""A pass of reconcile over all endpoints: its CPU time, its calls to the clouds, its round trips to the database."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks import fleet
from benchmarks.fleet import Fleet
from benchmarks.measurement import Measurement
from tests.fakes.round_trips import counted
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.loops.reconcile import ReconcileReport, reconcile

FEW, MANY = 1_000, 10_000
TARGET_CPU_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Passed:
    """One pass over all endpoints."""

    seconds: float
    calls: int
    pages: int
    round_trips: int
    found: ReconcileReport


def run(made: Fleet) -> Passed:
    """Reconcile each endpoint once, as its task does."""
    deadlines = deadlines_of(fleet.configuration())
    found = ReconcileReport()
    now = iter(fleet.NOW + timedelta(milliseconds=step) for step in range(10**6))
    with counted(made.store) as trips:
        before = time.process_time()
        for name, cloud in made.clouds.items():
            report = reconcile(made.store, cloud, name, deadlines, lambda: next(now))
            for what in report.__slots__:
                setattr(found, what, getattr(found, what) + getattr(report, what))
        seconds = time.process_time() - before
    return Passed(seconds, made.calls, made.pages, trips.count, found)


def measure() -> Iterator[Measurement]:
    """A quiet fleet, and one of which a quarter has changed; each small and large."""
    with tempfile.TemporaryDirectory(prefix="vmdirac-bench-") as folder:
        for name, changing in (("quiet", False), ("changing", True)):
            few, many = (run(fleet.make(Path(folder), vms, changing=changing)) for vms in (FEW, MANY))
            parameters: dict[str, float | str] = {
                "endpoints": fleet.ENDPOINTS,
                "vms": MANY,
                "listed": many.found.listed,
                "adopted": many.found.adopted,
                "gone": many.found.gone,
                "delete_asked": many.found.delete_asked,
                "database": "sqlite",
            }
            against = f"target of {TARGET_CPU_SECONDS} s"
            yield Measurement(
                f"reconcile_{name}_{MANY}_vms",
                many.seconds,
                "s CPU",
                against,
                many.seconds / TARGET_CPU_SECONDS,
                parameters,
            )
            # A changing fleet also has deletes to ask for, at each endpoint in one call.
            needed = many.pages + (fleet.ENDPOINTS if changing else 0)
            against = f"{many.pages} pages" + (f" and {fleet.ENDPOINTS} deletes" if changing else "")
            yield Measurement(f"reconcile_{name}_calls", many.calls, "calls", against, many.calls / needed, parameters)
            yield Measurement(
                f"reconcile_{name}_round_trips",
                many.round_trips,
                "SQL",
                f"{few.round_trips} with {FEW} VMs",
                many.round_trips / few.round_trips,
                parameters,
            )
