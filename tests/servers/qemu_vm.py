"""Real VMs: QEMU emulates a whole machine, whose Debian boots with systemd and cloud-init. Standard library only.

It takes a minute to boot on an emulated processor. Its network is QEMU's own: it reaches whatever the process that
started it reaches, so in the network that light_vm_network makes it has no way out.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.servers import qemu_image

MEMORY_MB = 512
KERNEL_ARGUMENTS = "console=ttyS0 root=/dev/vda ro quiet mitigations=off apparmor=0 audit=0 net.ifnames=0"


class QemuVM:
    """One VM from construction until it powers itself off, or `stop`.

    :param home: gets what it writes to its disk; is made, and removed at the end.
    :param console: gets what it says; stays.
    :param config_drive: paths and contents of the files on it.
    :param scratch_mb: size of a second disk with nothing on it, ``/dev/vdb``; 0: none.

    Raises:
        subprocess.CalledProcessError: its disks can't be made.
    """

    def __init__(
        self, home: Path, console: Path, config_drive: Iterable[tuple[str, bytes]], *, scratch_mb: int = 0
    ) -> None:
        self._home = home
        files = home / "config-drive"
        for path, content in config_drive:
            file = files / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        disk, iso = home / "disk.qcow2", home / "config-drive.iso"
        _run("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(qemu_image.disk()), "-F", "qcow2", str(disk))
        _run("genisoimage", "-quiet", "-o", str(iso), "-V", "config-2", "-r", "-J", str(files))
        drives = [f"file={disk},if=virtio,format=qcow2,cache=unsafe"]
        if scratch_mb:
            scratch = home / "scratch.qcow2"
            _run("qemu-img", "create", "-q", "-f", "qcow2", str(scratch), f"{scratch_mb}M")
            drives.append(f"file={scratch},if=virtio,format=qcow2,cache=unsafe")
        drives.append(f"file={iso},if=virtio,format=raw,readonly=on")
        # KVM hangs on some machines that seem to have it, and others have none: emulation works everywhere.
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]
        command += ["-m", str(MEMORY_MB), "-nodefaults", "-nographic", "-no-reboot", "-serial", f"file:{console}"]
        command += ["-kernel", str(qemu_image.kernel()), "-initrd", str(qemu_image.initial_ram_disk())]
        command += ["-append", KERNEL_ARGUMENTS, "-device", "virtio-rng-pci"]
        command += ["-netdev", "user,id=network", "-device", "virtio-net-pci,netdev=network,romfile="]
        for drive in drives:
            command += ["-drive", drive]
        with (home / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Pull the plug, if it still runs; nothing of it is left but its console. May be called again."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._home, ignore_errors=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
