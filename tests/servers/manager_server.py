"""The manager's app served by a real uvicorn, on loopback, in a process of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.process import GuardedProcess, free_port

START_DEADLINE_S = 120


class ManagerServer:
    """Serves `create_app` over the database of this URL, which must have its tables. ``<directory>/<port>.log`` is its
    log."""

    def __init__(self, directory: Path, url: str, environment: Mapping[str, str] | None = None) -> None:
        self.port = port = free_port()
        self.log = directory / f"{port}.log"
        # As Airflow's API server sets it, and with all that could be logged.
        more = {"_AIRFLOW_PROCESS_CONTEXT": "server", "AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN": url}
        app = ["--factory", "vmdirac.manager.app:create_app", "--log-level", "trace"]
        self.process = GuardedProcess(
            [sys.executable, "-m", "uvicorn", *app, "--host", "127.0.0.1", "--port", str(port)],
            log=self.log,
            cwd=directory,
            environment={**os.environ, **more, **(environment or {})},
        )

    def __enter__(self) -> Self:
        try:
            self.process.wait_until(self._answers, seconds=START_DEADLINE_S, what="the manager")
        except BaseException:
            self.process.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.stop()

    def connection(self) -> HTTPConnection:
        """To it; to be closed by whoever asked for it."""
        return HTTPConnection("127.0.0.1", self.port, timeout=120)

    def _answers(self) -> bool:
        connection = self.connection()
        try:
            connection.request("GET", "/vm/v1/agent")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
