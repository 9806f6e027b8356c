"""The tests' OpenStack with light VMs: what its servers boot is real. Needs root."""

from __future__ import annotations

from pathlib import Path

from tests.servers import light_vm_root
from tests.servers.openstack_server import OpenStackServer


class LightOpenStack(OpenStackServer):
    """An OpenStack of which each server is a light VM.

    To be started in the network that light_vm_network makes: its services listen on that network's loopback
    addresses, and its VMs are plugged into the bridge.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, compute_driver="light.Hypervisor")

    @staticmethod
    def unavailable() -> str | None:
        return light_vm_root.obstacle() or OpenStackServer.unavailable()

    def _start(self) -> None:
        super()._start()
        (self.settings.hypervisor / "root").symlink_to(light_vm_root.file_system())
