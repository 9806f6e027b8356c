"""A project of the tests' OpenStack, as its administrator and its hypervisor see it: nothing of ours is asked."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from tests.servers import light_vm_network
from tests.servers.openstack_seed import IMAGE, NETWORK, OUTSIDE, Project, connect, create_project
from tests.servers.openstack_settings import REGION, Settings

ENDPOINT, FLAVOR = "openstack", "small"

_STARTED = re.compile(r"job \S+ \((\S+)\) started as process")
"""The agent's words, which are on the VM's console."""


class ProjectView:
    """One project, made for this; ``close`` ends the connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = connect(settings)
        self.project: Project = create_project(self._admin)

    def close(self) -> None:
        self._admin.close()

    def connections(self, vms: int) -> dict[str, Any]:
        """The endpoint, as ``airflow connections import`` takes it.

        :param vms: how many there may be.
        """
        extra = {
            "max_instances": vms,
            "vm_policy": "elastic",
            "vm_stop_policy": "elastic",
            "project_name": self.project.name,
            "region_name": REGION,
            "network": NETWORK,
            # In Neutron's books only: no router is on the way that would translate them.
            "floating_ip_pool": OUTSIDE,
            # There is no metadata service.
            "config_drive": True,
        }
        return {
            ENDPOINT: {
                "conn_type": "vmdirac_openstack",
                "host": self._settings.url("keystone"),
                "port": 0,
                "login": self.project.user,
                "password": self.project.password,
                "extra": extra,
            }
        }

    def variables(self, owner_group: str, vms: int) -> dict[str, Any]:
        """One pod on it, as ``airflow variables import`` takes it."""
        pod = {
            "image": "light",
            "endpoints": [ENDPOINT],
            "max_instances": vms,
            "cpu_per_instance": 0,
            "requirements": {"cpu_time": 600, "owner_groups": [owner_group]},
            "halt_margin": 5,
            "heartbeat_period": 3,
        }
        image = {"boot_image": IMAGE, "flavor": FLAVOR, "context_method": "cloudinit"}
        return {"vmdirac_images": {"light": image}, "vmdirac_running_pods": {"end-to-end": pod}}

    def there(self) -> dict[str, int]:
        """What is in the project, and what of its VMs is on the machine, by kind.

        There is no Cinder in this OpenStack, and so no volume.
        """
        network = self._admin.network
        return {
            "servers": len(self._servers(deleted=False)),
            "ports": len(list(network.ports(project_id=self.project.id))),
            "floating IPs": len(list(network.ips(project_id=self.project.id))),
            "VMs' disks": len(list(self._settings.hypervisor.glob("*.vm"))),
            "VMs' cables": light_vm_network.plugged_in(),
        }

    def servers_made(self) -> int:
        """How many servers there are or ever were."""
        return len(self._servers(deleted=False)) + len(self._servers(deleted=True))

    def job_starts(self) -> dict[str, int]:
        """How often each job was begun on a VM, by its name."""
        found: Counter[str] = Counter()
        for console in self._settings.hypervisor.glob("*.console"):
            found.update(_STARTED.findall(console.read_text(errors="replace")))
        return found

    def _servers(self, *, deleted: bool) -> list[dict[str, Any]]:
        query = {"all_tenants": "1", "project_id": self.project.id, "deleted": str(deleted).lower()}
        answer = self._admin.compute.get("/servers", params=query)
        answer.raise_for_status()
        servers: list[dict[str, Any]] = answer.json()["servers"]
        return servers
