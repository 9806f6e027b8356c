"""What a driver's test module supplies so that the contract's tests can be run on its hook."""

from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

import pytest

from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import ErrorKind


class MakeRequest(Protocol):
    def __call__(self, **fields: Any) -> LaunchRequest:
        """A request with a token of its own that the cloud accepts and whose VM stays up, but for ``fields``."""


class Inject(Protocol):
    def __call__(self, on: str, error: ErrorKind, *, after: bool = False) -> AbstractContextManager[None]:
        """Meanwhile the call (launch, list or terminate) ends with the error, each time, whatever it is retried.

        :param after: the call takes effect, and its answer is lost.
        """


class Backdoor(Protocol):
    """What is known and done behind the API's back."""

    unknown_id: str
    """A well-formed id of no VM that ever was."""

    def user_data(self, cloud_id: str) -> bytes:
        """What the VM was given to boot with, as it arrived."""

    def tags(self, cloud_id: str) -> dict[str, str]:
        """The VM's tags, as they arrived."""

    def power_off(self, cloud_id: str) -> None:
        """Stop the VM from inside, without deleting it."""

    def write_console(self, cloud_id: str, line: str) -> None:
        """Have the VM write a line to its console."""


class DriverFixtures:
    """Each fixture that raises NotImplementedError must be supplied."""

    more_than_a_page: ClassVar[int] = 4
    """How many VMs the list does not bring in one page."""

    console_line: ClassVar[str] = "Hello, world: é漢🚀"
    """What the cloud keeps of a console, character for character."""

    @pytest.fixture
    def cloud(self) -> Cloud:
        """The hook under test."""
        raise NotImplementedError

    @pytest.fixture
    def other_cloud(self) -> Cloud:
        """The same account, seen by another installation."""
        raise NotImplementedError

    @pytest.fixture
    def make_request(self) -> MakeRequest:
        raise NotImplementedError

    @pytest.fixture
    def inject(self) -> Inject:
        raise NotImplementedError

    @pytest.fixture
    def backdoor(self) -> Backdoor:
        raise NotImplementedError
