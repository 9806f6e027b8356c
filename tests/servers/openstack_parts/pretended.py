"""``compute_driver = pretended.Hypervisor``: VMs that only exist in Nova's books, and that fail on demand.

It is Nova's own fake driver. In the directory ``VMDIRAC_HYPERVISOR`` tests find what a VM was given, and say what it
does: ``<project>.faults.json`` is read at each start of a VM of the project, ``<uuid>.off`` powers it off,
``<uuid>.console`` is its console.
"""

import base64
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from nova import exception  # type: ignore[import-not-found]
from nova.compute import power_state  # type: ignore[import-not-found]
from nova.virt import fake  # type: ignore[import-not-found]

HOW: dict[str, Any] = {
    "error": lambda vm: exception.NovaException("the pretended hypervisor failed"),
    # What a hypervisor says that has no room after all: the scheduler is asked for another one.
    "full": lambda vm: exception.ComputeResourcesUnavailable(reason="pretended"),
    "abort": lambda vm: exception.BuildAbortException(instance_uuid=vm.uuid, reason="pretended"),
}


class Hypervisor(fake.PredictableNodeUUIDDriver):  # type: ignore[misc]
    vcpus, memory_mb, local_gb = 1000, 4_000_000, 100_000

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.directory = Path(os.environ["VMDIRAC_HYPERVISOR"])

    def spawn(self, context: Any, instance: Any, *arguments: Any, **named: Any) -> None:
        self._fail(instance)
        super().spawn(context, instance, *arguments, **named)
        user_data = base64.b64decode(instance.user_data or "")
        (self.directory / f"{instance.uuid}.user_data").write_bytes(user_data)
        config_drive = str(instance.config_drive or "")
        (self.directory / f"{instance.uuid}.config_drive").write_text(config_drive)

    def _fail(self, instance: Any) -> None:
        try:
            faults = json.loads((self.directory / f"{instance.project_id}.faults.json").read_text())
        except OSError:
            return
        for fault in faults:
            if re.search(fault["name"], instance.display_name or ""):
                time.sleep(fault.get("delay", 0))
                if fault["how"] in HOW:
                    raise HOW[fault["how"]](instance)

    def get_info(self, instance: Any, use_cache: bool = True) -> Any:
        if (self.directory / f"{instance.uuid}.off").exists() and instance.uuid in self.instances:
            self.instances[instance.uuid].state = power_state.SHUTDOWN
        return super().get_info(instance, use_cache)

    def get_console_output(self, context: Any, instance: Any) -> str:
        console = self.directory / f"{instance.uuid}.console"
        # A character for each byte, as Nova wants it, whatever they mean.
        return console.read_bytes().decode("latin-1") if console.exists() else ""
