"""A network of its own for a process and all that it starts: light VMs are on its bridge, and nothing else is there.

It has no way out, collides with no other network, and is gone with the last process in it. Standard library only.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Sequence

CLONE_NEWNET = 0x40000000

BRIDGE = "light-vms"
GATEWAY = "10.20.0.1"
"""The bridge's address, by which VMs reach what runs outside of them. Neutron's subnet has it as its gateway."""

PREFIX = 16


def enter() -> None:
    """Leave the machine's network for a new one. Needs root; only the calling thread and what it starts are in there.

    Raises:
        OSError: not allowed.
        subprocess.CalledProcessError: the bridge can't be made.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no network of our own: {os.strerror(number)}")
    ip("link", "set", "lo", "up")
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("address", "add", f"{GATEWAY}/{PREFIX}", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")


def plug_in(process: int, name: str, mac: str | None = None) -> None:
    """Give the network namespace of a process an interface ``eth0`` that is plugged into the bridge.

    :param name: of the bridge's end, up to 15 characters; it is gone with the namespace.
    """
    address = ["address", mac] if mac else []
    ip("link", "add", name, "type", "veth", "peer", "name", "eth0", *address, "netns", str(process))
    ip("link", "set", name, "master", BRIDGE, "up")


def plugged_in() -> int:
    """How many interfaces are plugged into the bridge."""
    said = ip("-brief", "link", "show", "master", BRIDGE)
    return len(said.splitlines())


def ip(*arguments: str) -> str:
    """Run iproute2's ``ip``; what it says.

    Raises:
        subprocess.CalledProcessError: it failed; its ``stderr`` says why.
    """
    command: Sequence[str] = ("ip", *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
