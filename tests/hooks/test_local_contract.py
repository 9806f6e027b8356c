"""The local cloud keeps the contract of all clouds."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hooks.contract import CloudContract, Inject, MakeRequest
from tests.hooks.local_world import LocalWorld
from vmdirac.hooks.local_processes import signal_process
from vmdirac.hooks.local_store import read_record
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import ErrorKind

pytestmark = pytest.mark.slow


class LocalBackdoor:
    def __init__(self, world: LocalWorld) -> None:
        self.world = world
        self.unknown_id = "vm-" + 20 * "0"

    def user_data(self, cloud_id: str) -> bytes:
        return self.world.machine(cloud_id).user_data.read_bytes()

    def tags(self, cloud_id: str) -> dict[str, str]:
        return read_record(self.world.machine(cloud_id)).tags

    def power_off(self, cloud_id: str) -> None:
        """Without the mark that asks for its deletion, a supervisor that is told to end stops the VM."""
        assert signal_process(self.world.supervisor(cloud_id), signal.SIGTERM)

    def write_console(self, cloud_id: str, line: str) -> None:
        with (self.world.machine(cloud_id).disk / "says").open("a") as says:
            says.write(line + "\n")


class TestContract(CloudContract):
    @pytest.fixture
    def cloud(self, world: LocalWorld) -> Cloud:
        return world.hook("ours")

    @pytest.fixture
    def other_cloud(self, world: LocalWorld) -> Cloud:
        return world.hook("theirs")

    @pytest.fixture
    def make_request(self, world: LocalWorld) -> MakeRequest:
        return world.request

    @pytest.fixture
    def inject(self, world: LocalWorld) -> Inject:
        @contextmanager
        def inject(on: str, error: ErrorKind, *, after: bool = False) -> Iterator[None]:
            with world.faults({"on": on, "error": error, "after": after}):
                yield

        return inject

    @pytest.fixture
    def backdoor(self, world: LocalWorld) -> LocalBackdoor:
        return LocalBackdoor(world)
