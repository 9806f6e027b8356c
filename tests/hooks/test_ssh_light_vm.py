"""Logging in to a VM as a user who becomes root by sudo; the VM is known by what its cloud-init told on its console."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hooks.ssh_world import LoginKey, access
from tests.servers import light_vm_network, light_vm_root, missing
from tests.servers.light_vm import LightVM, Machine, user_data_drive
from tests.servers.sshd import make_key, public
from vmdirac.hooks.ssh_script import Progress, run_script
from vmdirac.hooks.ssh_session import logged_in
from vmdirac.model.ssh import HostKeySource
from vmdirac.policy.host_keys import Pins, keys_in_console

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_S = 280
ADDRESS = "10.20.0.2"
SECRET = "5ec4e7" * 10

USER_DATA = """#cloud-config
users:
  - name: worker
    shell: /bin/sh
    sudo: {sudo}
    ssh_authorized_keys:
      - {key}
"""

SCRIPT = """#!/bin/sh
echo "$(id -un), who was $SUDO_USER, in $(pwd)"
echo "the machine has a shadow file: $(test -r /etc/shadow && echo yes)"
ls -ld "$0"
exit 3
"""


def in_a_network_of_its_own(body: Callable[[], None]) -> None:
    """Run in a thread, which is the only one to be there; raises what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            light_vm_network.enter()
            body()
        except BaseException as error:  # noqa: BLE001 - it is raised where it can be seen
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def visit(directory: Path, key: LoginKey, sudo: str, then: Callable[[Pins], None]) -> None:
    """Boot a VM whose user may do that by sudo, and do this as soon as it has told its host keys."""
    if reason := light_vm_root.obstacle():
        missing(reason)
    if not light_vm_root.is_made():
        missing("the root file system of light VMs is not made: python -m tests.servers.install")

    def body() -> None:
        console = directory / "console"
        console.touch()
        drive = user_data_drive("light", USER_DATA.format(sudo=sudo, key=public(key.path)).encode())
        machine = Machine("light", "light", ADDRESS)
        vm = LightVM(directory / "vm", console, machine, drive, root=light_vm_root.file_system())
        try:
            deadline = time.monotonic() + PATIENCE_S
            while "light VM: booted" not in (said := console.read_text(errors="replace")):
                assert vm.runs, said
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            then(Pins(keys_in_console(said), HostKeySource.CONSOLE))
        finally:
            vm.stop()

    in_a_network_of_its_own(body)


def test_a_user_with_sudo_known_by_the_console(tmp_path: Path) -> None:
    key = LoginKey(make_key(tmp_path / "key"))
    ended: list[Progress] = []

    def contextualize(pins: Pins) -> None:
        assert {found.kind for found in pins.keys} >= {"ed25519", "ecdsa", "rsa"}
        with logged_in(ADDRESS, access(22, user="worker"), key.keys, pins) as session:
            assert session.run("id -un") == (0, b"worker\n")
            deadline = time.monotonic() + PATIENCE_S
            while (progress := run_script(session, 1, 1, SCRIPT, SECRET, sudo=True)).exit_status is None:
                assert time.monotonic() < deadline
            ended.append(progress)
            status, said = session.run("ls -A .vmdirac-context-1-1")
            assert (status, said.split()) == (0, [b"begun", b"output", b"status"])

    visit(tmp_path, key, '"ALL=(ALL) NOPASSWD:ALL"', contextualize)
    (progress,) = ended
    assert progress.exit_status == 3
    who, shadow, script = progress.output.splitlines()
    assert who == "root, who was worker, in /home/worker/.vmdirac-context-1-1"
    assert shadow == "the machine has a shadow file: yes"
    assert script.startswith("-rwx------ 1 worker worker ")


def test_a_user_who_may_not_become_root_is_told_so(tmp_path: Path) -> None:
    """And not asked for a password, for which it would wait for ever."""
    key = LoginKey(make_key(tmp_path / "key"))
    ended: list[Progress] = []

    def contextualize(pins: Pins) -> None:
        with logged_in(ADDRESS, access(22, user="worker"), key.keys, pins) as session:
            deadline = time.monotonic() + PATIENCE_S
            while (progress := run_script(session, 1, 1, SCRIPT, SECRET, sudo=True)).exit_status is None:
                assert time.monotonic() < deadline
            ended.append(progress)

    visit(tmp_path, key, "false", contextualize)
    assert ended[0].exit_status == 1
    assert "sudo: a password is required" in ended[0].output
