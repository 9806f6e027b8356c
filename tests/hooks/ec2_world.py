"""An account on EC2 as tests have it: hooks of several installations, and requests that it takes."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from airflow.sdk import Connection

from tests.servers import missing
from tests.servers.ec2 import REGION, Ec2Server
from vmdirac.hooks import ec2_api
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.hooks.ec2_rate import TokenBucket
from vmdirac.model.cloud import LaunchRequest

IMAGE = "ami-0123456789abcdef0"

AWS_CONNECTION = {
    "conn_type": "aws",
    "login": "testing",
    "password": "testing",
    # Tried once: what is tried again hides what is to be seen.
    "extra": {"region_name": REGION, "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 1}}},
}


class SmallPages(VmdiracEc2Hook):
    """As few VMs to a page as EC2 makes."""

    page_size = 5


class Ec2World:
    """With an allowance of launches of its own, which other tests have not used up.

    :param folder: an empty one, where that is kept.
    :param url: where hooks call, if not the server itself.
    """

    def __init__(
        self, server: Ec2Server, monkeypatch: pytest.MonkeyPatch, folder: Path, url: str | None = None
    ) -> None:
        self.server = server
        self._allowance = folder / "launches"
        monkeypatch.setattr(ec2_api, "bucket_of", lambda *account: TokenBucket(self._allowance))
        self._url, self._monkeypatch = url or server.url, monkeypatch
        self.configure()

    def refill_allowance(self) -> None:
        """As many launches as if there had been none."""
        self._allowance.unlink(missing_ok=True)

    def configure(self, **kwargs: Any) -> None:
        """Set the aws connection's ``config_kwargs`` for hooks that are made from now on."""
        extra: dict[str, Any] = {**AWS_CONNECTION["extra"], "endpoint_url": self._url}  # type: ignore[dict-item]
        extra["config_kwargs"] = {**extra["config_kwargs"], **kwargs}
        self.aws = {**AWS_CONNECTION, "extra": extra}
        self._monkeypatch.setenv("AIRFLOW_CONN_EC2_ACCOUNT", json.dumps(self.aws))

    def hook(self, installation: str = "ours", **config: Any) -> VmdiracEc2Hook:
        return SmallPages("ec2", installation, connection=self.connection(**config))

    @staticmethod
    def connection(**config: Any) -> Connection:
        extra = {"max_instances": 10, "aws_conn_id": "ec2_account", **config}
        return Connection(conn_id="ec2", conn_type="vmdirac_ec2", extra=json.dumps(extra))

    def request(self, **fields: Any) -> LaunchRequest:
        token = str(uuid.uuid4())
        default = {"token": token, "name": f"vm-{token[:8]}", "boot_image": IMAGE, "flavor": "t3.micro"}
        return LaunchRequest(**{**default, "user_data": "#!/bin/sh\n", **fields})

    def subnets(self, count: int = 2) -> list[str]:
        found = self.server.admin.describe_subnets()["Subnets"]
        ids = sorted(subnet["SubnetId"] for subnet in found)[:count]
        assert len(ids) == count
        return ids

    def sent(self, action: str = "RunInstances") -> list[dict[str, str]]:
        """The parameters of the calls, by name."""
        return [{name: value for name, [value] in parse_qs(body).items()} for body in self.server.calls(action)]

    def types_asked(self) -> list[str]:
        return [call["InstanceType"] for call in self.sent()]


# To be made fixtures of a test module by assignment.


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ec2Server]:
    if reason := Ec2Server.unavailable():
        missing(reason)
    with Ec2Server(tmp_path_factory.mktemp("ec2")) as server:
        yield server


@pytest.fixture
def ec2(server: Ec2Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ec2World:
    server.reset()
    return Ec2World(server, monkeypatch, tmp_path)
