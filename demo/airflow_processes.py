"""Airflow's four components, each a process of its own.

Not ``airflow standalone``: it leaves its children behind when it is told to end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from demo.problems import DemoError

# Their logs are read from the disk by the API server: nobody needs the servers that would hand them out, which
# listen on all addresses of the machine.
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
    "triggerer": ("--skip-serve-logs",),
}

STOP_PATIENCE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Component:
    """One running component; ``log`` gets all that it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


class AirflowProcesses:
    """The components of one Airflow: started together, watched together, stopped together.

    :param home: where they run.
    :param logs: gets a file for each of them.
    :param environment: says to them which Airflow they are part of.
    :param commands: what to run, by name.
    """

    def __init__(
        self, home: Path, logs: Path, environment: Mapping[str, str], commands: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._home = home
        self._logs = logs
        self._environment = environment
        self._commands = commands
        self._running: list[Component] = []

    def start(self, *names: str) -> None:
        """Start them, each in a session of its own, so that a Ctrl-C in the terminal reaches only the demo.

        :param names: of those to start now; without, all that do not run yet.
        """
        for name, command in self._commands.items():
            if name in self.running or (names and name not in names):
                continue
            log = self._logs / f"{name}.log"
            with log.open("ab") as output:
                process = subprocess.Popen(
                    command,
                    cwd=self._home,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._running.append(Component(name, process, log))

    @property
    def running(self) -> dict[str, int]:
        """The process ids of those that were started and not stopped, by name."""
        return {component.name: component.process.pid for component in self._running}

    def check(self, command: str) -> None:
        """:param command: how to go on.
        :raises DemoError: if one of them has ended, which none does by itself."""
        for component in self._running:
            code = component.process.poll()
            if code is not None:
                raise DemoError(
                    f"Airflow's {component.name} ended unexpectedly ({_ending(code)}). The last lines of"
                    f" {component.log}:\n{tail(component.log)}\nRun `{command}` again: it goes on where it stopped."
                )

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Have them end in good order, and make those end that don't.

        :param hurry: asked while waiting; once true, nobody is waited for any longer.
        """
        for component in self._running:
            # To the component alone: what it started is its to end, and an end behind its back costs it seconds.
            component.process.terminate()
        deadline = time.monotonic() + STOP_PATIENCE
        while any(component.process.poll() is None for component in self._running):
            if time.monotonic() > deadline or hurry():
                break
            time.sleep(0.05)
        for component in self._running:
            if component.process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(component.process.pid, signal.SIGKILL)
            component.process.wait()
        self._running.clear()


def airflow_commands() -> dict[str, tuple[str, ...]]:
    """What starts each of the components."""
    program = str(Path(sys.executable).parent / "airflow")
    return {name: (program, name, *options) for name, options in COMPONENTS.items()}


def tail(log: Path) -> str:
    """The last lines of a log."""
    with log.open(errors="replace") as lines:
        return "".join(f"    {line.rstrip()}\n" for line in deque(lines, TAIL_LINES)).rstrip("\n")


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.strsignal(-code) or f"signal {-code}"
