"""Light VMs: Linux namespaces on an overlay file system, with real cloud-init and real sshd. Standard library only.

One boots in seconds and takes a few megabytes. It has a name, an address, a config drive, a console. It shares the
machine's kernel, processors and memory, and no systemd runs in it.

    python -m tests.servers.light_vm USER-DATA-FILE

boots one with this user data in a network of its own, shows its console, and ends it with Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.servers import light_vm_network, light_vm_root

BOOT = Path(__file__).with_name("light_vm_boot.sh")
INIT = Path(__file__).with_name("light_vm_init.sh")
CONFIG_DRIVE = "var/lib/cloud/seed/config_drive"
"""Where cloud-init looks for what otherwise is on a drive."""

START_DEADLINE_S = 60


@dataclass(frozen=True)
class Machine:
    """:param interface: of the bridge's end of its cable, up to 15 characters.
    :param mac: of its ``eth0``; None: any.
    """

    name: str
    interface: str
    address: str
    mac: str | None = None
    prefix: int = light_vm_network.PREFIX
    gateway: str = light_vm_network.GATEWAY


class LightVM:
    """One VM from construction until `stop`. Must be made in the network that light_vm_network makes.

    :param home: gets what it writes to its disk; is made, and removed at the end.
    :param console: gets what it says; stays.
    :param config_drive: paths and contents of the files on it.

    Raises:
        subprocess.SubprocessError: it can't be started; the console may say why.
    """

    def __init__(
        self, home: Path, console: Path, machine: Machine, config_drive: Iterable[tuple[str, bytes]], *, root: Path
    ) -> None:
        self._home = home
        for name in ("upper", "work", "root"):
            (home / name).mkdir(parents=True)
        for path, content in config_drive:
            file = home / "upper" / CONFIG_DRIVE / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        _prepare(home / "upper", machine)
        namespaces = ("--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child=KILL")
        address = f"{machine.address}/{machine.prefix}"
        boot = (str(BOOT), str(root), str(home), machine.name, address, machine.gateway)
        with console.open("ab") as output:
            self._process = subprocess.Popen(
                ["unshare", *namespaces, "--propagation", "private", "--", *boot],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._plug_in(machine)
        except BaseException:
            self.stop()
            raise

    def _plug_in(self, machine: Machine) -> None:
        pid, ours = self._process.pid, _network_of("self")
        deadline = time.monotonic() + START_DEADLINE_S
        while _network_of(str(pid)) in {ours, None}:
            if not self.runs or time.monotonic() > deadline:
                raise subprocess.SubprocessError(f"light VM {machine.name} has no network of its own")
            time.sleep(0.01)
        light_vm_network.plug_in(pid, machine.interface, machine.mac)

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Pull the plug; returns when nothing of it is left but its console. May be called again."""
        # Process 1 of its namespace takes all others along before its end is told. It may not have begun yet.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        while self.runs:
            with contextlib.suppress(OSError):
                for child in children.read_text().split():
                    os.kill(int(child), signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)
        shutil.rmtree(self._home, ignore_errors=True)


def _prepare(upper: Path, machine: Machine) -> None:
    # In Debian it is a link into /usr, and an overlay has no directory in place of a link.
    init = upper / "usr/sbin/light-vm-init"
    init.parent.mkdir(parents=True)
    shutil.copy(INIT, init)
    hosts = upper / "etc/hosts"
    hosts.parent.mkdir()
    hosts.write_text(f"127.0.0.1 localhost {machine.name}\n::1 localhost\n")


def _network_of(process: str) -> str | None:
    try:
        return str(Path(f"/proc/{process}/ns/net").readlink())
    except OSError:
        return None


def user_data_drive(name: str, user_data: bytes) -> list[tuple[str, bytes]]:
    """The least that OpenStack writes to a config drive."""
    metadata = f'{{"uuid": "{name}", "name": "{name}", "hostname": "{name}"}}'
    return [("openstack/latest/meta_data.json", metadata.encode()), ("openstack/latest/user_data", user_data)]


def main(arguments: list[str]) -> int:
    """Exit code 0 once it has been asked to end."""
    import tempfile

    if reason := light_vm_root.obstacle():
        sys.stderr.write(f"{reason}\n")
        return 2
    user_data = Path(arguments[0]).read_bytes()
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: asked.set())
    light_vm_network.enter()
    with tempfile.TemporaryDirectory(prefix="light-vm-") as name:
        directory = Path(name)
        console = directory / "console"
        console.touch()
        machine = Machine("light", "light", "10.20.0.2")
        vm = LightVM(
            directory / "vm", console, machine, user_data_drive("light", user_data), root=light_vm_root.file_system()
        )
        try:
            with console.open("rb") as said:
                while vm.runs and not asked.wait(0.05):
                    sys.stdout.buffer.write(said.read())
                    sys.stdout.flush()
        finally:
            vm.stop()
    return 0 if asked.is_set() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
