"""VMs as they are over ssh, in memory: unreachable, with other keys, dying half way, when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from vmdirac.hooks.ssh_errors import BrokenError, HostKeyError, SshError
from vmdirac.model.ssh import HostKey, SshAccess
from vmdirac.policy.host_keys import Pins


def a_key(text: str = "a") -> HostKey:
    """A host key of its own for each text of one character."""
    return HostKey("ed25519", f"SHA256:{text * 43}")


@dataclass
class SshVm:
    """What is at one address.

    :param login_error: what logging in ends with.
    :param dies_after: of the steps after that, uploads and commands, so many succeed.
    :param exit_status: with which a script ends; ``None``: it goes on.
    :param scripts: what was run there, by its directory.
    """

    host_key: HostKey = field(default_factory=a_key)
    login_error: SshError | None = None
    dies_after: int | None = None
    exit_status: int | None = 0
    output: str = "it works\n"
    files: dict[str, str] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    visits: int = 0


class FakeSsh:
    """All VMs of a test, by address: stands for :func:`vmdirac.hooks.ssh_session.logged_in`."""

    def __init__(self) -> None:
        self.vms: dict[str, SshVm] = {}
        self.lock = threading.Lock()

    def __getitem__(self, address: str) -> SshVm:
        with self.lock:
            return self.vms.setdefault(address, SshVm())

    @contextmanager
    def log_in(self, address: str, access: SshAccess, keys: Mapping[str, Any], pins: Pins) -> Iterator[FakeSession]:
        vm = self[address]
        vm.visits += 1
        assert access.connection in keys
        if vm.login_error is not None:
            raise vm.login_error
        if not pins.take(vm.host_key):
            raise HostKeyError(f"{address} shows {vm.host_key}, not {pins.keys}", vm.host_key)
        yield FakeSession(vm, self.lock)


class FakeSession:
    """Understands the commands of :mod:`vmdirac.hooks.ssh_script` as far as the tests need it."""

    def __init__(self, vm: SshVm, lock: threading.Lock) -> None:
        self.shown = vm.host_key
        self._vm, self._lock = vm, lock
        self._steps = 0

    def upload(self, directory: str, name: str, content: bytes) -> None:
        self._step()
        self._vm.files[f"{directory}/{name}"] = content.decode()

    def run(self, command: str) -> tuple[int, bytes]:
        self._step()
        directory = command.split()[1]
        if "mkdir begun" in command:
            words = command.split()
            path = f"{directory}/{words[words.index('mv') + 1]}"
            with self._lock:
                self._vm.scripts.setdefault(directory, self._vm.files[path])
            self._vm.files.clear()
            return 0, b""
        if directory not in self._vm.scripts:
            return 92, b""
        if self._vm.exit_status is not None:
            self._vm.statuses.setdefault(directory, self._vm.exit_status)
        head = self._vm.statuses.get(directory, "-")
        return 0, f"{head}\n{self._vm.output}".encode()

    def _step(self) -> None:
        self._steps += 1
        if self._vm.dies_after is not None and self._steps > self._vm.dies_after:
            raise BrokenError("the connection died")
