"""One run of the demo, from the first check to the last process's end."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from demo import home as homes
from demo import preflight, processes
from demo.airflow_api import AirflowApi
from demo.airflow_processes import AirflowProcesses, airflow_commands
from demo.batch import OUTPUT, tiles
from demo.configuration import base_url, environment
from demo.display import Display, status
from demo.home import USER, Home
from demo.interruption import Interruption
from demo.picture import BrokenTileError, stitch
from demo.problems import FAILED, DemoError, StopAskedError
from demo.progress import Progress, Snapshot
from demo.set_up import set_up
from demo.settings import CONNECTIONS, VARIABLES, Settings
from demo.verdict import Verdict

LOOK_EVERY = 0.5
"""Seconds between two looks at processes and jobs."""

START_PATIENCE = 240.0
"""Seconds that Airflow may take to come up, which takes ten on a good machine."""

CHILDREN_PATIENCE = 3.0
"""Seconds that processes have to follow the component that started them, before they count as left over."""


def run(settings: Settings, display: Display) -> int:
    """The whole demo; its exit code.

    :raises DemoError: if it can't even begin; then nothing is left behind.
    :raises StopAskedError: if it is interrupted before Airflow starts.
    """
    began, began_at = time.monotonic(), datetime.now(UTC)
    preflight.check_system()
    preflight.check_installed()
    preflight.check_json((CONNECTIONS, VARIABLES))
    with Interruption() as interruption, homes.opened(settings.home) as home:
        if processes.of_home(home.path):
            display.say("Ending what an earlier demo, which was killed, has left running …")
            processes.kill(home.path)
        port = preflight.choose_port(settings.port)
        url = base_url(port)
        home.announce(url)
        progress = Progress(home.path / "vmdirac.db")
        variables = environment(home, os.environ)
        password = set_up(home, port, variables, progress, interruption, display)
        airflow = AirflowProcesses(home.path, home.logs, variables, airflow_commands())
        demo = Demo(settings, home, progress, airflow, AirflowApi(url, USER, password), interruption, display, began)
        # Whoever doesn't stay needs no password, and what demo-check says is kept in the logs of CI systems.
        return demo.run(began_at, f"{url}   user {USER}   password {password}" if settings.stay else url)


@dataclass(slots=True)
class Demo:
    """A demo whose home is set up. ``began``: when, by the monotonic clock."""

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

    def run(self, began_at: datetime, login: str) -> int:
        """Start Airflow, watch it until all is done, stop it; the exit code."""
        try:
            self.display.say("Starting Airflow …")
            self.airflow.start()
            self._come_up(began_at)
            self.display.say(f"Airflow is up: {login}")
            if self.settings.stay:
                self.display.say(
                    f"  its VMs:      {self.api.url}/plugin/vmdirac\n"
                    f"  command line: AIRFLOW_HOME={self.home.path} {Path(sys.executable).parent / 'vmdirac'} jobs list"
                )
            self._watch()
            self.finished = True
            if self.settings.stay:
                self.display.say("All VMs are halted. The UI stays up until Ctrl-C.")
                while True:
                    self._wait()
            self.display.say("All VMs are halted.")
            self._settle(began_at)
            code = 0
        except DemoError as problem:
            self.display.say(str(problem))
            code = problem.exit_code
        except StopAskedError as interrupted:
            code = 0 if self.finished else interrupted.exit_code
            if not self.finished:
                self.display.say(f"Not all is done: run `{self.settings.command}` again, it goes on where it stopped.")
        finally:
            left_over = self._stop()
        if self.settings.stay or code not in {0, FAILED}:
            return code
        return self._judge(left_over) or code

    def _come_up(self, began_at: datetime) -> None:
        deadline = time.monotonic() + START_PATIENCE
        while missing := self.api.not_healthy(since=began_at):
            if time.monotonic() > deadline:
                raise DemoError(
                    f"Airflow is not up after {START_PATIENCE:.0f} s, missing: {', '.join(missing)}."
                    f" Its logs are in {self.home.logs}."
                )
            self._wait()

    def _watch(self) -> None:
        """Until all jobs are done and all VMs are gone."""
        pictured = False
        while True:
            snapshot = self.progress.snapshot()
            self.display.show(status(snapshot), self._seconds)
            if not snapshot.open_jobs and not pictured:
                self._make_picture(snapshot)
                pictured = True
            if pictured and not snapshot.open_vms:
                return
            self._wait()

    def _make_picture(self, snapshot: Snapshot) -> None:
        if snapshot.done != len(tiles()):
            raise DemoError(f"{snapshot.done} of {len(tiles())} jobs came to a good end.{self._troubles()}")
        try:
            self.home.picture.write_bytes(stitch(self.progress.outputs(OUTPUT)))
        except BrokenTileError as error:
            raise DemoError(f"The picture can't be put together: {error}.") from error
        self.display.say(f"All {snapshot.done} jobs are done after {self._seconds} s: {self.home.picture}")

    def _settle(self, began_at: datetime) -> None:
        """Let the DAG runs end that are in the middle of something, and count those that failed."""
        try:
            pending = self.api.running_runs()
            while pending & self.api.running_runs():
                self._wait()
            self.failed_dag_runs = self.api.failed_runs(since=began_at)
            if self.failed_dag_runs:
                self.display.say(f"The task that failed last: {self.api.last_failed_task()}")
        except OSError as error:
            raise DemoError(f"Airflow's API doesn't answer: {error}.") from error

    def _wait(self) -> None:
        """A moment, in which things may go wrong."""
        self.interruption.pause(LOOK_EVERY)
        self.airflow.check(self.settings.command)
        if not self.settings.stay and self._seconds > self.settings.deadline:
            raise DemoError(f"Not done after {self.settings.deadline:.0f} s.{self._troubles()}")

    def _troubles(self) -> str:
        lines = self.progress.troubles()
        try:
            task = self.api.last_failed_task()
        except OSError as error:
            lines.append(f"Airflow's API doesn't answer: {error}")
        else:
            lines.append(f"the task that failed last: {task or 'none'}")
        return "".join(f"\n    {line}" for line in lines)

    def _stop(self) -> int:
        """End all processes; how many were left when all should have ended by themselves."""
        self.display.say("Stopping …")
        already = len(self.interruption.received)

        def hurry() -> bool:
            return len(self.interruption.received) > already

        self.airflow.stop(hurry)
        # VMs of an unfinished demo don't end by themselves: no use waiting for them.
        patience = CHILDREN_PATIENCE if self.finished else 0.0
        left = processes.wait_until_gone(self.home.path, patience, hurry)
        immortal = processes.kill(self.home.path)
        if immortal:
            self.display.say(f"These processes can't be killed: {', '.join(str(each.pid) for each in immortal)}")
        return len(left)

    def _judge(self, left_over: int) -> int:
        snapshot = self.progress.snapshot()
        verdict = Verdict(
            jobs_done=snapshot.done,
            instances_started=self.progress.started(),
            instances_halted=self.progress.halted(),
            failed_dag_runs=self.failed_dag_runs,
            leftover_processes=left_over,
            seconds=self._seconds,
        )
        faults = verdict.faults(jobs=len(tiles()), open_vms=snapshot.open_vms)
        for fault in faults:
            self.display.say(f"Not as it must be: {fault}.")
        self.display.say(verdict.json())
        return FAILED if faults else 0

    @property
    def _seconds(self) -> int:
        return round(time.monotonic() - self.began)
