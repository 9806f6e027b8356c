"""One run of the demo, from the first check to the last process's end."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from demo import home as homes
from demo import preflight, processes
from demo.airflow_api import AirflowApi
from demo.airflow_processes import AirflowProcesses, airflow_commands
from demo.airflow_run import AirflowRun
from demo.batch import OUTPUT, tiles
from demo.configuration import base_url, environment
from demo.display import Display
from demo.home import USER
from demo.interruption import Interruption
from demo.picture import BrokenTileError, stitch
from demo.problems import FAILED, DemoError, StopAskedError
from demo.progress import Progress, Snapshot
from demo.set_up import set_up
from demo.settings import CONNECTIONS, VARIABLES, Settings
from demo.verdict import Verdict


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
        port = preflight.choose_port(settings.port, home.last_port)
        url = base_url(port)
        home.announce(url)
        progress = Progress(home.path / "vmdirac.db")
        variables = environment(home, os.environ)
        password = set_up(home, port, variables, progress, interruption, display)
        home.keep_port(port)
        airflow = AirflowProcesses(home.path, home.logs, variables, airflow_commands())
        demo = Demo(settings, home, progress, airflow, AirflowApi(url, USER, password), interruption, display, began)
        # Whoever doesn't stay needs no password, and what demo-check says is kept in the logs of CI systems.
        return demo.run(began_at, f"{url}   user {USER}   password {password}" if settings.stay else url)


class Demo(AirflowRun):
    """Its jobs are the tiles of the picture."""

    def run(self, began_at: datetime, login: str) -> int:
        """Start Airflow, watch it until all is done, stop it; the exit code."""
        try:
            self.display.say("Starting Airflow …")
            self.airflow.start()
            self.come_up(began_at)
            self.display.say(f"Airflow is up: {login}")
            if self.settings.stay:
                self.display.say(
                    f"  its VMs:      {self.api.url}/plugin/vmdirac\n"
                    f"  command line: AIRFLOW_HOME={self.home.path} {Path(sys.executable).parent / 'vmdirac'} jobs list"
                )
            self.watch()
            self.finished = True
            if self.settings.stay:
                self.display.say("All VMs are halted. The UI stays up until Ctrl-C.")
                while True:
                    self.wait()
            self.display.say("All VMs are halted.")
            self.settle(began_at)
            code = 0
        except DemoError as problem:
            self.display.say(str(problem))
            code = problem.exit_code
        except StopAskedError as interrupted:
            code = 0 if self.finished else interrupted.exit_code
            if not self.finished:
                self.display.say(f"Not all is done: run `{self.settings.command}` again, it goes on where it stopped.")
        finally:
            left_over = self.stop()
        if self.settings.stay or code not in {0, FAILED}:
            return code
        return self._judge(left_over) or code

    def jobs_ended(self, snapshot: Snapshot) -> None:
        """Put the picture together."""
        if snapshot.done != len(tiles()):
            raise DemoError(f"{snapshot.done} of {len(tiles())} jobs came to a good end.{self.troubles()}")
        try:
            self.home.picture.write_bytes(stitch(self.progress.outputs(OUTPUT)))
        except BrokenTileError as error:
            raise DemoError(f"The picture can't be put together: {error}.") from error
        self.display.say(f"All {snapshot.done} jobs are done after {self.seconds} s: {self.home.picture}")

    def _judge(self, left_over: int) -> int:
        snapshot = self.progress.snapshot()
        verdict = Verdict(
            jobs_done=snapshot.done,
            instances_started=self.progress.started(),
            instances_halted=self.progress.halted(),
            failed_dag_runs=self.failed_dag_runs,
            leftover_processes=left_over,
            seconds=self.seconds,
        )
        faults = verdict.faults(jobs=len(tiles()), open_vms=snapshot.open_vms)
        for fault in faults:
            self.display.say(f"Not as it must be: {fault}.")
        self.display.say(verdict.json())
        return FAILED if faults else 0
