"""What the tests of ssh share: a key to log in with, instances that leave nothing behind, ways to reach a server."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from paramiko import PKey  # type: ignore[import-untyped]

from tests.servers import sshd
from vmdirac.model.ssh import SshAccess
from vmdirac.policy.host_keys import Pins, keys_in_console

CONNECTION = "key"

_ids = itertools.count(os.getpid() * 100_000)


def instance_id() -> int:
    """One that no other test has, at the same time either: what is run leaves a directory of its name."""
    return next(_ids)


@dataclass(frozen=True)
class LoginKey:
    """Where it is, and as paramiko has it."""

    path: Path

    @property
    def keys(self) -> Mapping[str, PKey]:
        return {CONNECTION: PKey.from_path(self.path)}


def access(port: int, **fields: object) -> SshAccess:
    """Short time-outs, for servers on this machine."""
    given = SshAccess(
        user=sshd.user(),
        port=port,
        connection=CONNECTION,
        connect_timeout=5,
        banner_timeout=10,
        auth_timeout=10,
        command_timeout=20,
    )
    return replace(given, **fields)  # type: ignore[arg-type]


def pins_of(server: sshd.Sshd) -> Pins:
    """By which keys it is known, as its console would tell."""
    lines = "\n".join(sshd.public(key) for key in server.host_keys.values())
    found = keys_in_console(f"-----BEGIN SSH HOST KEY KEYS-----\n{lines}\n-----END SSH HOST KEY KEYS-----")
    return Pins(found)
