"""A real Airflow for the tests: its components are real processes that a test may kill and start again."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from tests.servers.airflow_environment import make_passwords, server_environment
from tests.servers.process import GuardedProcess, free_port

# What may run beside the API server, which always does.
Component = Literal["scheduler", "dag-processor", "triggerer"]

# Two slow cores shared with other work; a healthy start takes about a tenth.
START_DEADLINE_S = 240
STOP_GRACE_S = 30

# No log servers: they would listen on all interfaces, and finished logs are read from the disk all the same.
OPTIONS: Mapping[str, list[str]] = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}


class AirflowServer:
    """An Airflow in `home` (made if need be) on a free loopback port, with the users "admin" and "viewer".

    The API server always runs, the other `components` as asked for. The environment is this process's
    (prepared by tests/conftest.py: this checkout's DAGs and plugins, its secrets), then what a test Airflow
    needs, then `environment`. Each component writes ``<home>/<component>.log``. Started twice in one home
    (after `stop`) it goes on with the same database and passwords, on another port.
    """

    def __init__(
        self,
        home: Path,
        *,
        components: Sequence[Component] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.components = components
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self._port = port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {**os.environ, **server_environment(home, port), **(environment or {})}
        self.passwords = make_passwords(home)
        self.processes: dict[str, GuardedProcess] = {}
        self._replaced: list[GuardedProcess] = []

    @property
    def process_groups(self) -> dict[str, int]:
        """Component → its pid, also its process group. (Airflow gives each task a group of its own.)"""
        return {name: process.pid for name, process in self.processes.items()}

    def start(self) -> None:
        """Migrate the database and start the components; returns when all of them are healthy.

        Raises:
            ServerError: one ended or isn't healthy in time; the message has the end of its log.
        """
        try:
            self._migrate()
            self._start("api-server")  # the others call it
            for wait in [self._begin(name) for name in self.components]:
                wait()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all components, and kill whatever they have started and left behind. May be called again."""
        processes = [*reversed(self.processes.values()), *self._replaced]
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def kill(self, component: str) -> None:
        """kill -9 a component with its process group. Its running tasks live on, as after a real crash."""
        process = self.processes[component]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait_for_exit(seconds=STOP_GRACE_S)

    def restart(self, component: str) -> None:
        """Start a component that ended; returns when it is healthy. What the old one left running stays."""
        old = self.processes[component]
        assert old.returncode is not None, f"{component} still runs"
        self._replaced.append(old)  # its guard lives on for the orphans and is stopped with the rest
        self._start(component)

    def token(self, user: str) -> str:
        """A fresh token of "admin" or "viewer", for the header ``Authorization: Bearer …``."""
        body = {"username": user, "password": self.passwords[user]}
        answer = self._ask("/auth/token", body)
        return str(answer["access_token"])

    def _migrate(self) -> None:
        process = self._run("db", "migrate")
        try:
            if process.wait_for_exit(seconds=START_DEADLINE_S) != 0:
                raise process.failure("airflow db migrate")
        finally:
            process.stop()

    def _start(self, component: str) -> None:
        self._begin(component)()

    def _begin(self, component: str) -> Callable[[], None]:
        """Start a component; what is returned waits until it is healthy."""
        # After a restart the old heartbeat looks healthy for a while: wait for another one.
        before = None if component == "api-server" else self._heartbeat(component)
        process = self.processes[component] = self._run(component, *OPTIONS.get(component, []))

        def ready() -> bool:
            if component == "api-server":
                return self._answers()
            now = self._heartbeat(component)
            return now is not None and now != before

        return lambda: process.wait_until(ready, seconds=START_DEADLINE_S, what=f"airflow {component}")

    def _run(self, *arguments: str) -> GuardedProcess:
        return GuardedProcess(
            [sys.executable, "-m", "airflow", *arguments],
            log=self.home / f"{arguments[0]}.log",
            cwd=self.home,
            environment=self.environment,
            grace=STOP_GRACE_S,
        )

    def _answers(self) -> bool:
        try:
            return bool(self._ask("/api/v2/monitor/health")["metadatabase"]["status"] == "healthy")
        except (OSError, HTTPException):  # not up yet, or cut off while it starts
            return False

    def _heartbeat(self, component: str) -> str | None:
        """When the component last reported to be healthy, as the API tells it."""
        name = component.replace("-", "_")
        state = self._ask("/api/v2/monitor/health").get(name) or {}
        return state.get(f"latest_{name}_heartbeat") if state.get("status") == "healthy" else None

    def _ask(self, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(
                "POST" if body else "GET",
                path,
                json.dumps(body) if body else None,
                {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise OSError(f"{path}: {response.status} {response.reason}")
        answer: dict[str, Any] = json.loads(text)
        return answer
