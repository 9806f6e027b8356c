"""The root file system that all light VMs boot from: Debian with cloud-init and sshd. Standard library only.

It is made once, from Debian's packages, outside of the checkout: beside the packages of the tests' OpenStack.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.servers import openstack_packages, programs

SUITE = "bookworm"
PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "iproute2",
    "netbase",
    "openssh-server",
    "procps",
    "python3-minimal",
    "sudo",
    "tini",
)
UNWANTED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")

CLOUD_INIT = """\
# Light VMs have a config drive, as OpenStack makes them, and their address from the beginning.
datasource_list: [ConfigDrive, None]
network: {config: disabled}
"""

# There is nothing to partition, to resize or to mount in a namespace, and no package is installed there.
NOT_FOR_NAMESPACES = (
    "apt-configure",
    "apt-pipelining",
    "disk_setup",
    "growpart",
    "grub-dpkg",
    "locale",
    "mounts",
    "ntp",
    "resizefs",
    "rsyslog",
)

STAMP = "complete"


def directory() -> Path:
    """Where it is, or will be: it is another one when what it is made of is."""
    made_of = repr((SUITE, PACKAGES, UNWANTED, CLOUD_INIT, NOT_FOR_NAMESPACES))
    fingerprint = hashlib.sha256(made_of.encode()).hexdigest()[:12]
    return openstack_packages.environment_directory().parent / f"light-vm-{fingerprint}"


def file_system() -> Path:
    """What VMs have as their lower layer."""
    return directory() / "root"


def is_made() -> bool:
    return (directory() / STAMP).exists()


def make() -> None:
    """Make it, unless it is there; half of one is made anew. Takes a minute.

    Raises:
        subprocess.CalledProcessError: it can't be made (and it was said why).
    """
    home = directory()
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "making-light-vm").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_made():
            return
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        # As an archive, because in a directory of ours mmdebstrap would leave devices.
        archive = home / "root.tar"
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *options]
        subprocess.run([*command, SUITE, str(archive)], check=True)
        root = file_system()
        root.mkdir()
        subprocess.run(["tar", "-C", str(root), "--exclude=./dev/*", "-xf", str(archive)], check=True)
        archive.unlink()
        _configure(root)
        (home / STAMP).touch()


def _configure(root: Path) -> None:
    (root / "etc/cloud/cloud.cfg.d/90_light_vm.cfg").write_text(CLOUD_INIT)
    configuration = root / "etc/cloud/cloud.cfg"
    lines = configuration.read_text().splitlines(keepends=True)
    kept = [line for line in lines if line.strip().removeprefix("- ") not in NOT_FOR_NAMESPACES]
    configuration.write_text("".join(kept))
    # Each VM makes its own.
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    # What the machine that made it looks names up with.
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").touch()


PROBE = """
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" probe "$1/root"
"""
"""What a VM does first, and what is not allowed in every container."""


def obstacle() -> str | None:
    """Why no light VM can run here, or None."""
    if os.geteuid() != 0:
        return "light VMs need root"
    absent = [name for name, path in programs.light_vm().items() if path is None]
    if not is_made():
        absent.append("its root file system")
    if absent:
        return f"what light VMs need is not installed ({', '.join(absent)}): python -m tests.servers.install light-vm"
    with tempfile.TemporaryDirectory(prefix="light-vm-") as name:
        command = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "sh", "-c", PROBE, "sh", name]
        tried = subprocess.run(command, check=False, capture_output=True, text=True)
    if tried.returncode:
        return f"light VMs need namespaces and overlay file systems: {tried.stderr.strip()}"
    return None
