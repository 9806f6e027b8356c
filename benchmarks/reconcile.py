"""A pass of reconcile over all endpoints: its CPU time, its calls to the clouds, its round trips to the database."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from benchmarks import fleet
from benchmarks.fleet import Fleet
from benchmarks.measurement import Measurement
from tests.fakes.round_trips import counted
from vmdirac.loops.corrections import ReconcileReport
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.loops.reconcile import reconcile
from vmdirac.store import installation
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, InstallationRow

FEW, MANY = 1_000, 10_000
TARGET_CPU_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Passed:
    """One pass over all endpoints."""

    seconds: float
    calls: int
    round_trips: int
    found: ReconcileReport


def run(made: Fleet) -> Passed:
    """Reconcile each endpoint once, as its task does."""
    _has_been_hearing(made.store)
    deadlines = deadlines_of(fleet.configuration())
    found = ReconcileReport()
    now = (fleet.NOW + timedelta(milliseconds=step) for step in itertools.count())
    with counted(made.store) as trips:
        before = time.process_time()
        for name, cloud in made.clouds.items():
            report = reconcile(made.store, cloud, name, deadlines, lambda: next(now))
            for what, number in asdict(report).items():
                setattr(found, what, getattr(found, what) + number)
        seconds = time.process_time() - before
    return Passed(seconds, made.calls, trips.count, found)


def _has_been_hearing(store: Store) -> None:
    """VMs could call all the time, or nothing would be concluded from their not being there."""
    installation.mark_hearing(store, fleet.NOW - timedelta(hours=1))
    with store.write() as session:
        session.execute(update(InstallationRow).values(served_at=fleet.NOW))


def measure() -> Iterator[Measurement]:
    """A quiet fleet, and one of which a quarter has changed; each small and large."""
    with tempfile.TemporaryDirectory(prefix="vmdirac-bench-") as folder:
        for changing in (False, True):
            name = "changing" if changing else "quiet"
            few, many = (_made(Path(folder), f"{name}-{vms}", vms, changing=changing) for vms in (FEW, MANY))
            passed_few, passed = run(few), run(many)
            parameters: dict[str, float | str] = {
                "endpoints": fleet.ENDPOINTS,
                "vms": MANY,
                "adopted": passed.found.adopted,
                "gone": passed.found.gone,
                "delete_asked": passed.found.delete_asked,
                "database": "sqlite",
            }
            against, ratio = f"target of {TARGET_CPU_SECONDS} s", passed.seconds / TARGET_CPU_SECONDS
            yield Measurement(f"reconcile_{name}_{MANY}_vms", passed.seconds, "s CPU", against, ratio, parameters)
            # Each endpoint of a changing fleet also is asked for deletes, in one call.
            deletes = fleet.ENDPOINTS if changing else 0
            against = f"{many.pages} pages" + (f", {deletes} calls for deletes" if deletes else "")
            ratio = passed.calls / (many.pages + deletes)
            yield Measurement(f"reconcile_{name}_calls", passed.calls, "calls", against, ratio, parameters)
            against = f"{passed_few.round_trips} for {FEW} VMs"
            ratio = passed.round_trips / passed_few.round_trips
            yield Measurement(f"reconcile_{name}_round_trips", passed.round_trips, "SQL", against, ratio, parameters)


def _made(folder: Path, name: str, vms: int, *, changing: bool) -> Fleet:
    store = Store(f"sqlite:///{folder / name}.db")
    Base.metadata.create_all(store.engine)
    return fleet.make(store, vms, changing=changing)
