"""One Airflow with jobs and VMs, watched from its start to the last process's end."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from demo import processes
from demo.airflow_api import AirflowApi
from demo.airflow_processes import AirflowProcesses
from demo.display import Display, status
from demo.home import Home
from demo.interruption import Interruption
from demo.problems import DemoError
from demo.progress import Progress, Snapshot
from demo.settings import Settings

LOOK_EVERY = 0.5
"""Seconds between two looks at processes and jobs."""

START_PATIENCE = 240.0
"""Seconds that Airflow may take to come up, which takes ten on a good machine."""

CHILDREN_PATIENCE = 3.0
"""Seconds that processes have to follow the component that started them, before they count as left over."""


@dataclass(slots=True)
class AirflowRun:
    """A run whose home is set up. ``began``: when, by the monotonic clock."""

    settings: Settings
    home: Home
    progress: Progress
    airflow: AirflowProcesses
    api: AirflowApi
    interruption: Interruption
    display: Display
    began: float
    finished: bool = False
    failed_dag_runs: int | None = None

    def come_up(self, began_at: datetime, needed: Collection[str] = ()) -> None:
        """Wait until Airflow's components show signs of life.

        :param needed: those to wait for, as the health answer names them; without, all.
        """
        deadline = time.monotonic() + START_PATIENCE
        while (missing := self.api.not_healthy(since=began_at)) and not (needed and set(needed).isdisjoint(missing)):
            if time.monotonic() > deadline:
                raise DemoError(
                    f"Airflow is not up after {START_PATIENCE:.0f} s, missing: {', '.join(missing)}."
                    f" Its logs are in {self.home.logs}."
                )
            self.wait()

    def watch(self) -> None:
        """Until all jobs have ended and all VMs are gone."""
        ended = False
        while True:
            snapshot = self.progress.snapshot()
            self.display.show(status(snapshot), self.seconds)
            if not snapshot.open_jobs and not ended:
                self.jobs_ended(snapshot)
                ended = True
            if ended and not snapshot.open_vms:
                return
            self.wait()

    def jobs_ended(self, snapshot: Snapshot) -> None:
        """What to do with what the jobs have brought back, while their VMs are still there.

        :raises DemoError: if they have not done what they should.
        """
        raise NotImplementedError

    def settle(self, began_at: datetime) -> None:
        """Let the DAG runs end that are in the middle of something, and count those that failed."""
        try:
            pending = self.api.running_runs()
            while pending & self.api.running_runs():
                self.wait()
            self.failed_dag_runs = self.api.failed_runs(since=began_at)
            if self.failed_dag_runs:
                self.display.say(f"The task that failed last: {self.api.last_failed_task()}")
        except OSError as error:
            raise DemoError(f"Airflow's API doesn't answer: {error}.") from error

    def wait(self) -> None:
        """A moment, in which things may go wrong."""
        self.interruption.pause(LOOK_EVERY)
        self.airflow.check(self.settings.command)
        if not self.settings.stay and self.seconds > self.settings.deadline:
            raise DemoError(f"Not done after {self.settings.deadline:.0f} s.{self.troubles()}")

    def troubles(self) -> str:
        """What is not as it should be by now, a line each."""
        lines = self.progress.troubles()
        try:
            task = self.api.last_failed_task()
        except OSError as error:
            lines.append(f"Airflow's API doesn't answer: {error}")
        else:
            lines.append(f"the task that failed last: {task or 'none'}")
        return "".join(f"\n    {line}" for line in lines)

    def stop(self) -> int:
        """End all processes; how many were left when all should have ended by themselves."""
        self.display.say("Stopping …")
        already = len(self.interruption.received)

        def hurry() -> bool:
            return len(self.interruption.received) > already

        self.airflow.stop(hurry)
        # VMs of an unfinished run don't end by themselves: no use waiting for them.
        patience = CHILDREN_PATIENCE if self.finished else 0.0
        left = processes.wait_until_gone(self.home.path, patience, hurry)
        immortal = processes.kill(self.home.path)
        if immortal:
            self.display.say(f"These processes can't be killed: {', '.join(str(each.pid) for each in immortal)}")
        return len(left)

    @property
    def seconds(self) -> int:
        """Since the beginning."""
        return round(time.monotonic() - self.began)
