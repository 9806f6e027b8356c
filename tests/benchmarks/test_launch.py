"""Both ways to launch do the same work: as many VMs, from the same requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from benchmarks import launch
from benchmarks.launch import Times
from benchmarks.launch_ec2 import Ec2Target
from tests.servers import missing
from tests.servers.ec2 import Ec2Server
from vmdirac.store.database import Store
from vmdirac.store.tables import Base


@pytest.mark.server
def test_the_task_and_the_bare_loop_send_the_same_launches(tmp_path: Path) -> None:
    if reason := Ec2Server.unavailable():
        missing(reason)
    store = Store(f"sqlite:///{tmp_path / 'vmdirac.db'}")
    Base.metadata.create_all(store.engine)
    with Ec2Server(tmp_path) as server:
        target, sent = Ec2Target(server), []
        ways: list[Callable[[], None]] = [
            lambda: launch.by_the_task(store, target, 3, Times()),
            lambda: launch.by_the_sdk(target, 3, Times()),
        ]
        for way in ways:
            target.empty()
            way()
            assert len(server.vms()) == 3
            calls = [
                {name: value[0] for name, value in parse_qs(body).items()} for body in server.calls("RunInstances")
            ]
            sent.append([sorted((name, value) for name, value in call.items() if not is_own(name)) for call in calls])
        ours, bare = sent
        assert ours == bare
    store.close()


def is_own(name: str) -> bool:
    """Whether the parameter differs from VM to VM."""
    return name in {"ClientToken", "UserData"} or (name.startswith("TagSpecification") and name.endswith("Value"))
