"""``compute_driver = light.Hypervisor``: each server is a light VM, and fails on demand as the pretended ones do.

It has the address that Neutron gave it, and the config drive that Nova makes. In the directory ``VMDIRAC_HYPERVISOR``
``root`` leads to what all VMs have in common.
"""

import sys
from pathlib import Path
from typing import Any

from nova import exception  # type: ignore[import-not-found]
from nova.api.metadata.base import InstanceMetadata  # type: ignore[import-not-found]
from nova.compute import power_state  # type: ignore[import-not-found]
from nova.virt import (  # type: ignore[import-not-found]
    configdrive,
    pretended,
)

sys.path.append(str(Path(__file__).parents[3]))

from tests.servers.light_vm import LightVM, Machine

LONGEST_INTERFACE = 15


class Hypervisor(pretended.Hypervisor):  # type: ignore[misc]
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._vms: dict[str, LightVM] = {}

    def spawn(
        self,
        context: Any,
        instance: Any,
        image_meta: Any,
        injected_files: Any,
        admin_password: Any,
        allocations: Any,
        network_info: Any = None,
        *arguments: Any,
        **named: Any,
    ) -> None:
        first = (context, instance, image_meta, injected_files, admin_password, allocations, network_info)
        super().spawn(*first, *arguments, **named)
        drive = []
        if configdrive.required_by(instance):
            options = {"admin_pass": admin_password} if admin_password else {}
            metadata = InstanceMetadata(instance, content=injected_files, extra_md=options, network_info=network_info)
            drive = [(path, _bytes(content)) for path, content in metadata.metadata_for_config_drive()]
        try:
            self._vms[instance.uuid] = LightVM(
                self.directory / f"{instance.uuid}.vm",
                self.directory / f"{instance.uuid}.console",
                _machine(instance, network_info),
                drive,
                root=(self.directory / "root").resolve(),
            )
        except Exception as error:
            raise exception.NovaException(f"the light VM could not be started: {error}") from error

    def destroy(self, context: Any, instance: Any, *arguments: Any, **named: Any) -> None:
        if vm := self._vms.pop(instance.uuid, None):
            vm.stop()
        super().destroy(context, instance, *arguments, **named)

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        vm = self._vms.get(instance.uuid)
        if vm and not vm.runs and instance.uuid in self.instances:
            self.instances[instance.uuid].state = power_state.SHUTDOWN
        return super().get_info(instance, use_cache)


def _machine(instance: Any, network_info: Any) -> Machine:
    if len(network_info or ()) != 1:
        raise ValueError("a light VM has one network")
    (card,) = network_info
    subnet = card["network"]["subnets"][0]
    return Machine(
        name=instance.hostname,
        interface=f"vm-{instance.uuid}"[:LONGEST_INTERFACE],
        address=subnet["ips"][0]["address"],
        mac=card["address"],
        prefix=int(subnet["cidr"].partition("/")[2]),
        gateway=subnet["gateway"]["address"],
    )


def _bytes(content: Any) -> bytes:
    return content if isinstance(content, bytes) else str(content).encode()
