"""The agent as a VM runs it: a process of its own, under any Python that is installed here."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.agent.scripted_manager import PATIENCE_S, SECRET, ScriptedManager
from vmdirac.contextualization.user_data import agent_source


def interpreters() -> list[str]:
    """One program of each Python from 3.6 on that is installed: the one that runs the tests, on PATH, or pyenv's."""
    found = {sys.version_info[:2]: sys.executable}
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for folder in sorted(root.glob("versions/3.*")):
        if match := re.match(r"3\.(\d+)\.", folder.name):
            found.setdefault((3, int(match[1])), str(folder / "bin" / "python"))
    for minor in range(6, 16):
        program = shutil.which(f"python3.{minor}")
        if program and "shims" not in program:
            found.setdefault((3, minor), program)
    return [found[version] for version in sorted(found) if version >= (3, 6)]


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so; fails after a time that only a defect takes."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen: {what}")
        time.sleep(0.02)


def running(mark: str, part: str = "environ") -> list[int]:
    """Processes that have ``mark`` in their environment (or command line), zombies left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            alive = (path / "stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
            if alive and mark.encode() in (path / part).read_bytes():
                found.append(int(path.name))
    return found


class AgentProcess:
    """An agent's process, started in a session of its own as a VM's would be."""

    def __init__(self, url: str, path: Path, instance: int = 17, secret: str = SECRET) -> None:
        self._identity = {"url": url, "instance": instance, "secret": secret}
        self.work_directory = path / "work"
        self.console = path / "console"
        self.program = path / "vmdirac_agent.py"
        self._config = path / "config.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._pilot: subprocess.Popen[bytes] | None = None

    def start_pilot(self, *command: str) -> None:
        """Start the pod's pilot beside the agent, once this has its configuration. Its end is with :meth:`clean_up`."""
        words = [sys.executable, str(self.program), "--pilot", str(self._config), *command]
        with self.console.open("ab") as console:
            self._pilot = subprocess.Popen(words, stdout=console, stderr=console, start_new_session=True)

    def start(self, interpreter: str = sys.executable, program: bytes = b"", **optional: object) -> None:
        values = {**self._identity, "work_directory": str(self.work_directory)}
        self._config.write_text(json.dumps({**values, "ca_file": None, **optional}))
        self._config.chmod(0o600)
        self.program.write_bytes(program or agent_source())
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(
                [interpreter, str(self.program), str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ended(self) -> int:
        """Wait for its end and return its exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    def log(self) -> str:
        return self.console.read_text()

    def jobs_processes(self) -> list[int]:
        """Processes that jobs of this agent started."""
        return running(str(self.work_directory / "jobs"))

    def own_processes(self) -> list[int]:
        """The agent and its keeper."""
        return running(str(self._config), "cmdline")

    def clean_up(self) -> None:
        """End all of it, whatever a test that failed left."""
        if self._pilot is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pilot.pid, signal.SIGKILL)
            self._pilot.wait()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            for pid in self.jobs_processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class RealAgent(AgentProcess):
    """One that talks to the scripted manager."""

    def __init__(self, manager: ScriptedManager, path: Path) -> None:
        super().__init__(manager.url, path)
        self.manager = manager
