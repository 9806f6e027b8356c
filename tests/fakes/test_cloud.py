"""The fake cloud keeps the contract that every cloud hook keeps: what the loops learn from it is worth something."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.account import FileAccount
from tests.fakes.clock import Clock
from tests.fakes.cloud import FakeCloud, Verb
from tests.hooks.contract import ERRORS, Backdoor, CloudContract, Inject, MakeRequest
from vmdirac.model.cloud import CloudState, LaunchRequest
from vmdirac.model.errors import ErrorKind


class FakeBackdoor:
    unknown_id = "vm-9999"

    def __init__(self, cloud: FakeCloud) -> None:
        self._cloud = cloud

    def user_data(self, cloud_id: str) -> bytes:
        return self._cloud.machine(cloud_id).request.user_data.encode()

    def tags(self, cloud_id: str) -> dict[str, str]:
        return self._cloud.machine(cloud_id).tags

    def power_off(self, cloud_id: str) -> None:
        self._cloud.set_state(cloud_id, CloudState.STOPPED)

    def write_console(self, cloud_id: str, line: str) -> None:
        self._cloud.write_console(cloud_id, f"{line}\n")


class TestFakeCloud(CloudContract):
    @pytest.fixture
    def account(self, tmp_path: Path) -> FileAccount:
        return FileAccount(tmp_path / "account")

    @pytest.fixture
    def cloud(self, account: FileAccount) -> FakeCloud:
        return FakeCloud(Clock(), account)

    @pytest.fixture
    def other_cloud(self, account: FileAccount) -> FakeCloud:
        return FakeCloud(Clock(), account, installation="others")

    @pytest.fixture
    def make_request(self) -> MakeRequest:
        def make(**fields: Any) -> LaunchRequest:
            token = str(uuid.uuid4())
            default = {"token": token, "name": f"vm-{token[:8]}", "boot_image": "linux", "flavor": "small"}
            return LaunchRequest(**{**default, "user_data": "#!/bin/sh\n", **fields})

        return make

    @pytest.fixture
    def inject(self, cloud: FakeCloud) -> Inject:
        @contextmanager
        def inject(on: str, error: ErrorKind, *, after: bool = False) -> Iterator[None]:
            verbs: dict[str, Verb] = {"launch": "launch", "list": "list", "terminate": "terminate"}
            with cloud.broken(verbs[on], ERRORS[error]("planned"), after=after):
                yield

        return inject

    @pytest.fixture
    def backdoor(self, cloud: FakeCloud) -> Backdoor:
        return FakeBackdoor(cloud)
