"""The disk and the kernel of real VMs: Debian with systemd and cloud-init, as clouds offer it. Standard library only.

Made once, from Debian's packages, beside the root file system of light VMs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.servers import openstack_packages, programs

SUITE = "bookworm"
PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "dbus",
    "e2fsprogs",
    "ifupdown",
    "iproute2",
    "isc-dhcp-client",
    "linux-image-cloud-amd64",
    "netbase",
    "procps",
    "systemd-sysv",
    "udev",
)
UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")

CLOUD_INIT = """\
# Our VMs have a config drive, as OpenStack makes them.
datasource_list: [ConfigDrive, None]
"""

# An emulated processor is slow, and VMs of tests live for minutes.
NOT_STARTED = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",
)

DISK_MB = 1800
STAMP = "complete"


def directory() -> Path:
    """Where it is, or will be: it is another one when what it is made of is."""
    made_of = repr((SUITE, PACKAGES, UNWANTED, CLOUD_INIT, NOT_STARTED, DISK_MB))
    fingerprint = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    return openstack_packages.environment_directory().parent / f"qemu-{fingerprint}"


def disk() -> Path:
    """What VMs have below what they write themselves."""
    return directory() / "disk.qcow2"


def kernel() -> Path:
    return directory() / "vmlinuz"


def initial_ram_disk() -> Path:
    return directory() / "initrd.img"


def is_made() -> bool:
    return (directory() / STAMP).exists()


def make() -> None:
    """Make it, unless it is there; half of one is made anew. Takes a minute or two, and needs root.

    Raises:
        subprocess.CalledProcessError: it can't be made (and it was said why).
    """
    home = directory()
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "making-qemu").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_made():
            return
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        # As an archive, because in a directory of ours mmdebstrap would leave devices.
        archive, root, raw = home / "root.tar", home / "root", home / "disk.raw"
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *options]
        subprocess.run([*command, SUITE, str(archive)], check=True)
        root.mkdir()
        subprocess.run(["tar", "-C", str(root), "--exclude=./dev/*", "-xf", str(archive)], check=True)
        archive.unlink()
        _configure(root)
        for pattern, target in (("vmlinuz-*", kernel()), ("initrd.img-*", initial_ram_disk())):
            (found,) = (root / "boot").glob(pattern)
            shutil.copy(found, target)
        make_file_system = _program("mke2fs")
        subprocess.run([make_file_system, "-q", "-t", "ext4", "-d", str(root), str(raw), f"{DISK_MB}M"], check=True)
        subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(disk())], check=True)
        shutil.rmtree(root)
        raw.unlink()
        (home / STAMP).touch()


def _configure(root: Path) -> None:
    (root / "etc/cloud/cloud.cfg.d/90_qemu.cfg").write_text(CLOUD_INIT)
    (root / "etc/fstab").write_text("/dev/vda / ext4 noatime 0 1\n")
    # What the machine that made it looks names up with.
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    for unit in NOT_STARTED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")


def _program(name: str) -> str:
    found = programs.qemu()[name]
    assert found is not None
    return str(found)


def obstacle() -> str | None:
    """Why no VM can run here, or None."""
    absent = [name for name, path in programs.qemu().items() if path is None]
    if not is_made():
        absent.append("its disk")
    if absent:
        return f"what real VMs need is not installed ({', '.join(absent)}): python -m tests.servers.install qemu"
    if os.geteuid() != 0:
        return "the network that real VMs are in needs root"
    return None
