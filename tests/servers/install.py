"""Installs the servers that the tests want: ``python -m tests.servers.install``. Standard library only.

On Debian as root it installs what is missing; elsewhere it says what is missing and ends well, since the
tests that want it then say so and are skipped.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import light_vm_root, openstack_packages, programs, qemu_image


@dataclass(frozen=True)
class Need:
    """Something the tests want, and how Debian names it."""

    packages: tuple[str, ...]
    service: str | None
    programs: Callable[[], Mapping[str, Path | None]]

    def is_met(self) -> bool:
        return None not in self.programs().values()


NEEDS = {
    "PostgreSQL": Need(("postgresql",), "postgresql", programs.postgresql),
    "MariaDB": Need(("mariadb-server",), "mariadb", programs.mariadb),
    # Without a font its pages, and so the screenshots, have no letters.
    "Chromium": Need(("chromium", "fonts-liberation"), None, programs.chromium),
    # Of OpenStack, as MariaDB. Its own programs are Python's.
    "RabbitMQ": Need(("rabbitmq-server",), "rabbitmq-server", programs.rabbitmq),
    "OpenSSH's server": Need(("openssh-server",), "ssh", programs.sshd),
    "Prometheus' promtool": Need(("prometheus",), "prometheus", programs.prometheus),
}

OPENSTACK_NEEDS = {name: NEEDS[name] for name in ("MariaDB", "RabbitMQ")}

LIGHT_VM_NEEDS = {"light VMs' programs": Need(("iproute2", "mmdebstrap", "util-linux"), None, programs.light_vm)}
"""What makes and starts light VMs."""

QEMU_NEEDS = {
    "QEMU": Need(
        ("e2fsprogs", "genisoimage", "iproute2", "mmdebstrap", "qemu-system-x86", "qemu-utils"), None, programs.qemu
    )
}
"""What makes and starts real VMs."""

# Debian's package scripts ask this program whether they may start a service; 101 means no.
POLICY = Path("/usr/sbin/policy-rc.d")


def obstacle(os_release: str, user_id: int) -> str | None:
    """Why nothing can be installed by us, or None; `os_release` is the text of /etc/os-release."""
    fields = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    if fields.get("ID", "").strip('"') != "debian":
        return "this is not Debian"
    if user_id != 0:
        return "not root"
    return None


def obstacle_here() -> str | None:
    """Why nothing can be installed on this machine by this user, or None."""
    os_release = Path("/etc/os-release")
    return obstacle(os_release.read_text() if os_release.exists() else "", os.geteuid())


@contextmanager
def services_not_started(policy: Path = POLICY) -> Iterator[None]:
    """While inside, installed packages don't start their services; an existing policy is left as it is."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def install(needs: list[Need]) -> None:
    """Install with apt-get.

    Raises:
        subprocess.CalledProcessError: apt-get failed (and said why).
    """
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = [package for need in needs for package in need.packages]
    with services_not_started():
        subprocess.run(["/usr/bin/apt-get", "update", "-q"], check=True, env=environment)
        command = ["/usr/bin/apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
        subprocess.run(command, check=True, env=environment)
    for need in needs:
        if need.service:  # started all the same, by a policy of the administrator's; nobody relies on it yet
            stop = ["/usr/sbin/service", need.service, "stop"]
            subprocess.run(stop, check=False, capture_output=True)


def say(line: str) -> None:
    """Tell the user."""
    sys.stdout.write(line + "\n")


def install_openstack() -> int:
    """Install its Python packages, which need no root, but only where the servers are that it needs."""
    if not all(need.is_met() for need in OPENSTACK_NEEDS.values()):
        say(f"Not installed: OpenStack, for it needs {' and '.join(OPENSTACK_NEEDS)}.")
        return 0
    if not openstack_packages.is_installed():
        say(f"Installing OpenStack in {openstack_packages.environment_directory()} (a minute or two) …")
        try:
            openstack_packages.install()
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{' '.join(error.cmd)} failed, see above" + "\n")
            return 1
    say("OpenStack: installed")
    return 0


def install_light_vm() -> int:
    """Make the root file system of light VMs, where they can run at all."""
    if obstacle_here() is None and all(need.is_met() for need in LIGHT_VM_NEEDS.values()):
        if not light_vm_root.is_made():
            say(f"Making the root file system of light VMs in {light_vm_root.directory()} (a minute or two) …")
            return made("light VMs", light_vm_root.make)
        say("light VMs: installed")
    return 0


def install_qemu() -> int:
    """Make the disk of real VMs, where they can run at all."""
    if obstacle_here() is None and all(need.is_met() for need in QEMU_NEEDS.values()):
        if not qemu_image.is_made():
            say(f"Making the disk of real VMs in {qemu_image.directory()} (a minute or two) …")
            return made("real VMs", qemu_image.make)
        say("real VMs: installed")
    return 0


def made(what: str, make: Callable[[], None]) -> int:
    """Make it; 1 if that failed."""
    try:
        make()
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{' '.join(error.cmd)} failed, see above" + "\n")
        return 1
    say(f"{what}: installed")
    return 0


def main(arguments: Sequence[str] = ()) -> int:
    """Exit code 0 also where nothing can be installed; not 0 only if installing was tried and failed.

    :param arguments: ``openstack``: only what the tests against a real OpenStack need; ``light-vm``: only what its VMs
        need that boot; ``qemu``: only what real VMs need.
    """
    if "qemu" in arguments:
        return install_all(QEMU_NEEDS) or install_qemu()
    if "light-vm" in arguments:
        return install_all(LIGHT_VM_NEEDS) or install_light_vm()
    if "openstack" in arguments:
        return install_all(OPENSTACK_NEEDS) or install_openstack()
    everything = {**NEEDS, **LIGHT_VM_NEEDS, **QEMU_NEEDS}
    return install_all(everything) or install_openstack() or install_light_vm() or install_qemu()


def install_all(needs: Mapping[str, Need]) -> int:
    """Install those that are not there."""
    missing = {name: need for name, need in needs.items() if not need.is_met()}
    if not missing:
        say(f"{', '.join(needs)}: installed")
        return 0
    if reason := obstacle_here():
        packages = " ".join(package for need in missing.values() for package in need.packages)
        say(f"Not installed: {', '.join(missing)}. The tests that want them will be skipped.")
        say(f"They can't be installed from here ({reason}); on Debian it takes: apt-get install {packages}")
        return 0
    try:
        install(list(missing.values()))
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{' '.join(error.cmd)} failed, see above" + "\n")
        return 1
    unmet = [name for name, need in missing.items() if not need.is_met()]
    if unmet:
        sys.stderr.write(f"Installed, but still not found: {', '.join(unmet)}" + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
