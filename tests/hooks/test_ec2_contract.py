"""EC2 keeps the contract of all clouds, against moto with what it lacks."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hooks import ec2_world
from tests.hooks.contract import CloudContract, Inject, MakeRequest
from tests.hooks.ec2_world import Ec2World
from tests.servers.ec2 import Ec2Server
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import (
    ErrorKind,
)

pytestmark = pytest.mark.server

server, ec2 = ec2_world.server, ec2_world.ec2


class Ec2Backdoor:
    unknown_id = "i-00000000000000000"

    def __init__(self, server: Ec2Server) -> None:
        self.server = server
        self.consoles: dict[str, str] = {}

    def user_data(self, cloud_id: str) -> bytes:
        return self.server.user_data(cloud_id)

    def tags(self, cloud_id: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in self.server.vms()[cloud_id]["Tags"]}

    def power_off(self, cloud_id: str) -> None:
        self.server.admin.stop_instances(InstanceIds=[cloud_id])

    def write_console(self, cloud_id: str, line: str) -> None:
        self.consoles[cloud_id] = self.consoles.get(cloud_id, "") + line + "\n"
        self.server.set(consoles=self.consoles)


class TestContract(CloudContract):
    more_than_a_page = 6

    @pytest.fixture
    def cloud(self, ec2: Ec2World) -> Cloud:
        ec2.server.set(pending=0.05, delay=0.02)
        return ec2.hook("ours")

    @pytest.fixture
    def other_cloud(self, ec2: Ec2World) -> Cloud:
        return ec2.hook("theirs")

    @pytest.fixture
    def make_request(self, ec2: Ec2World) -> MakeRequest:
        return ec2.request

    @pytest.fixture
    def inject(self, ec2: Ec2World) -> Inject:
        codes = {
            ErrorKind.CAPACITY: ("InsufficientInstanceCapacity", 500),
            ErrorKind.THROTTLE: ("RequestLimitExceeded", 503),
            ErrorKind.QUOTA: ("VcpuLimitExceeded", 400),
            ErrorKind.AUTH: ("UnauthorizedOperation", 403),
            ErrorKind.CONFIG: ("InvalidAMIID.NotFound", 400),
            ErrorKind.TRANSIENT: ("InternalError", 500),
        }
        actions = {"launch": "RunInstances", "list": "DescribeInstances", "terminate": "TerminateInstances"}

        @contextmanager
        def inject(on: str, error: ErrorKind, *, after: bool = False) -> Iterator[None]:
            with ec2.server.fault(actions[on], *codes[error], after=after, cut=after):
                yield

        return inject

    @pytest.fixture
    def backdoor(self, ec2: Ec2World) -> Ec2Backdoor:
        return Ec2Backdoor(ec2.server)
