"""kill -9 at every statement and commit of counting and of housekeeping: the totals are as if nothing had happened, and
nothing is told twice."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.crash_suite.kills import kill_at_each_point
from tests.crash_suite.points import Countdown, watch_statements
from tests.fakes.clock import START, Clock
from tests.fakes.configured import an_endpoint
from tests.fakes.world import World
from tests.loops.test_housekeeping import KEPT, LATER
from vmdirac.loops.count import count
from vmdirac.loops.housekeeping import keep_house
from vmdirac.model.event import Event
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.tables import HistoryRow, InstanceRow, JobRow, TotalRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JOBS = 3
TOTALS = {
    ("launch", ""): JOBS,
    ("phase", "launch"): JOBS,
    ("phase", "boot"): JOBS,
    ("halt", "gone"): JOBS,
    ("tick", ""): 2,
    ("job", "done"): JOBS,
    ("decision", "planned"): JOBS,
}


class Ground:
    """A database in which everything but a tick is over since long, and a file of what was told."""

    def __init__(self, folder: Path, database: Path) -> None:
        self._template, self._copy = folder / "template.db", folder / "copy.db"
        self.told = folder / "told"
        database.rename(self._template)
        world = World(Store(f"sqlite:///{self._template}"), endpoints=[an_endpoint(max_instances=JOBS)])
        world.submit(JOBS)
        for _ in range(2):
            world.tick()
            world.clock.advance(minutes=1)
        with world.store.write() as session:
            for item in instances.unfinished(session):
                instances.change(session, item, START, "gone", to=InstanceStatus.HALTED, vm_gone=True)
            for job in session.scalars(select(JobRow)):
                job.status, job.finished_at = JobStatus.DONE, START
        world.store.close()

    def lay_out(self) -> None:
        for path in self._copy.parent.glob(f"{self._copy.name}*"):
            path.unlink()
        shutil.copy(self._template, self._copy)
        self.told.write_text("")

    def enter(self, countdown: Countdown | None) -> World:
        store = Store(f"sqlite:///{self._copy}")
        watch_statements(store.engine, countdown or Countdown(None), afterwards=False)
        return World(store, clock=Clock(LATER), hearing=False)

    def tell(self, event: Event) -> None:
        with self.told.open("a") as file:
            file.write(f"{event.kind.value} {event.what}\n")


def test_killed_anywhere_it_is_made_good(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "ground"
    folder.mkdir()
    ground = Ground(folder, Path(sqlite_url.removeprefix("sqlite:///")))

    def keep(world: World) -> None:
        count(world.store, LATER, ground.tell)
        keep_house(
            world.store,
            KEPT,
            LATER,
            pause=lambda _: None,
            seconds=lambda: 0.0,
            time_left=lambda: True,
        )

    def check(world: World) -> None:
        keep(world)
        with world.store.read() as session:
            found = {
                (kind, what): int(number)
                for kind, what, number in session.execute(
                    select(TotalRow.kind, TotalRow.what, func.sum(TotalRow.count)).group_by(
                        TotalRow.kind, TotalRow.what
                    )
                )
            }
            left = [session.scalars(select(func.count()).select_from(table)).one() for table in (JobRow, HistoryRow)]
            left.append(session.scalars(select(func.count()).select_from(InstanceRow)).one())
        # The second tick has a plan, and is the last one.
        assert found == TOTALS
        assert left == [0, 0, 0]
        lines = ground.told.read_text().splitlines()
        told = Counter((kind, what) for kind, _, what in (line.partition(" ") for line in lines))
        assert all(number <= TOTALS[what] for what, number in told.items()), told

    kills = kill_at_each_point(ground, keep, check)
    assert not kills.failures, "\n".join(kills.failures)
    assert kills.points > 60
