"""Servers for the suite: an EC2 with a proxy in front of it, and an account in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.hooks.ec2_world import Ec2World
from tests.servers.ec2 import Ec2Server, name_of_call
from tests.servers.faulty_proxy import FaultyProxy


@dataclass(frozen=True)
class Cloud:
    """An account, and the proxy through which our code calls it."""

    account: Ec2World
    proxy: FaultyProxy


@contextmanager
def behind_a_proxy(server: Ec2Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The server's account, empty."""
    server.reset()
    with TemporaryDirectory() as folder, FaultyProxy(server.port, name_of=name_of_call) as proxy:
        yield Cloud(Ec2World(server, monkeypatch, Path(folder), proxy.url), proxy)


@contextmanager
def ec2_behind_a_proxy(logs: Path) -> Iterator[Cloud]:
    """With a server of its own."""
    with (
        Ec2Server(logs) as server,
        pytest.MonkeyPatch.context() as monkeypatch,
        behind_a_proxy(server, monkeypatch) as cloud,
    ):
        yield cloud
