"""A private EC2 for the tests: moto's server in a process of its own, and what it lacks (ec2_app.py)."""

import base64
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from tests.servers.airflow_environment import CHECKOUT
from tests.servers.process import GuardedProcess, free_port

START_DEADLINE_S = 120
REGION = "eu-west-1"


def name_of_call(_method: str, _path: str, body: bytes) -> str:
    """What a call is about: its action, the filters that it has, and whether it asks for a further page. Never what is
    in it."""
    given = parse_qs(body.decode())
    filters = [values[0] for name, values in given.items() if re.fullmatch(r"Filter\.\d+\.Name", name)]
    further = ["NextToken"] if "NextToken" in given else []
    return " ".join([*given.get("Action", ["?"]), *filters, *further])


class Ec2Server:
    """An empty account in an EC2 on a loopback port. `reset` empties it again."""

    def __init__(self, logs: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._logs = logs
        self._process: GuardedProcess | None = None
        self._admin: Any = None
        self._faults: list[dict[str, Any]] = []

    @staticmethod
    def unavailable() -> str | None:
        """Why it can't be started here, or None."""
        absent = [name for name in ("moto", "flask") if importlib.util.find_spec(name) is None]
        return f"the Python package {absent[0]} is not installed" if absent else None

    def __enter__(self) -> Self:
        self._process = GuardedProcess(
            [sys.executable, "-m", "tests.servers.ec2_app", str(self.port)],
            log=self._logs / "ec2.log",
            cwd=CHECKOUT,
            environment={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))},
        )
        try:
            self._process.wait_until(self._answers, seconds=START_DEADLINE_S, what="EC2")
        except BaseException:
            self._process.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self._process.stop()

    @property
    def admin(self) -> Any:
        """A client of the account that no part of the code under test has to do with."""
        if self._admin is None:
            self._admin = self.client("ec2")
        return self._admin

    def client(self, service: str) -> Any:
        import boto3  # type: ignore[import-untyped]

        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def reset(self) -> None:
        """No VMs, no faults, nothing remembered; still with its default VPC and images."""
        self._faults = []
        self._control("reset")

    def set(self, **values: Any) -> None:
        """Set what `ec2_app.World` has."""
        self._control("set", values)

    @contextmanager
    def fault(self, action: str, code: str, status: int = 400, **more: Any) -> Iterator[None]:
        """Meanwhile calls of the action end with this code.

        `when` (parameters that they must have), `times` (so often), `after` (it is done first), `cut` (and then the
        answer breaks off), `message`, `headers`.
        """
        fault = {"action": action, "code": code, "status": status, **more}
        self._faults.append(fault)
        self.set(faults=self._faults)
        try:
            yield
        finally:
            self._faults.remove(fault)
            self.set(faults=self._faults)

    def calls(self, action: str) -> list[str]:
        """The bodies of the calls of the action since the last reset."""
        return [call["body"] for call in self._control("calls")["calls"] if call["action"] == action]

    def vms(self) -> dict[str, dict[str, Any]]:
        """Everybody's VMs that are not gone, by id."""
        return {cloud_id: vm for cloud_id, vm in self.ever_made().items() if vm["State"]["Name"] != "terminated"}

    def ever_made(self) -> dict[str, dict[str, Any]]:
        """Everybody's VMs since the last reset, those that are gone too, by id."""
        pages = self.admin.get_paginator("describe_instances").paginate()
        found = [vm for page in pages for reservation in page["Reservations"] for vm in reservation["Instances"]]
        return {vm["InstanceId"]: vm for vm in found}

    def user_data(self, cloud_id: str) -> bytes:
        """What the VM was given to boot with, as it arrived."""
        told = self.admin.describe_instance_attribute(InstanceId=cloud_id, Attribute="userData")
        return base64.b64decode(told["UserData"]["Value"])

    def _control(self, what: str, values: dict[str, Any] | None = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", f"/_test/{what}", json.dumps(values or {}))
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        assert response.status == 200, text
        return json.loads(text)

    def _answers(self) -> bool:
        try:
            self._control("calls")
        except (OSError, HTTPException):
            return False
        return True
