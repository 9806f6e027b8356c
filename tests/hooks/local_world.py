"""A local cloud as tests have it: hooks of several installations, requests, faults, and what is on its disk."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from airflow.sdk import Connection

from tests.hooks.waiting import wait_until
from vmdirac.hooks.local_cloud import VmdiracLocalHook
from vmdirac.hooks.local_faults import FAULTS_FILE
from vmdirac.hooks.local_machine import Machine
from vmdirac.hooks.local_processes import Process, find_process
from vmdirac.hooks.local_store import LocalStore, read_record
from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.errors import CloudError

STAYING_UP = '#!/bin/sh\ntouch "$HOME/says"\nexec tail -n +1 -f "$HOME/says"\n'
"""A VM that stays up, and whose console shows what is written to the file."""


class LocalWorld:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = LocalStore(root)

    def hook(self, installation: str = "ours", **config: Any) -> VmdiracLocalHook:
        extra = {"max_instances": 10, "root_directory": str(self.root), "boot_delay": 0, **config}
        connection = Connection(conn_id="local", conn_type="vmdirac_local", extra=json.dumps(extra))
        return VmdiracLocalHook("local", installation, connection=connection)

    def request(self, user_data: str = STAYING_UP, **fields: Any) -> LaunchRequest:
        token = str(uuid.uuid4())
        default = {"token": token, "name": f"vm-{token[:8]}", "boot_image": "host", "flavor": "small"}
        return LaunchRequest(**{**default, "user_data": user_data, **fields})

    @contextmanager
    def faults(self, *faults: dict[str, object]) -> Iterator[None]:
        """Have these faults strike meanwhile."""
        file = self.root / FAULTS_FILE
        self.store.prepare()
        file.write_text(json.dumps(faults))
        try:
            yield
        finally:
            file.unlink()

    def machine(self, cloud_id: str) -> Machine:
        machine = self.store.machine(cloud_id) or self.store.finished(cloud_id)
        assert machine
        return machine

    def disk_file(self, cloud_id: str, name: str) -> str:
        """What a VM's user data left in a file of its home; empty if it left none."""
        with suppress(FileNotFoundError):
            return (self.machine(cloud_id).disk / name).read_text()
        return ""

    def supervisor(self, cloud_id: str) -> Process:
        state = self.machine(cloud_id).read_state()
        assert state
        process = find_process(state.pid)
        assert process
        return process

    def processes(self) -> list[int]:
        """All living processes that any VM of this cloud started, unless they hid their environment."""
        mark = f"VMDIRAC_VM_DIRECTORY={self.store.root}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def call(self, hook: VmdiracLocalHook, verb: str, cloud_id: str) -> None:
        """Do what a fault can strike, and raise the error that it answers."""
        error: CloudError | None = None
        match verb:
            case "launch":
                error = hook.launch([self.request()])[0].error
            case "terminate":
                error = hook.terminate([cloud_id])[0].error
            case "list":
                list(hook.instances())
            case _:
                hook.console(cloud_id)
        if error:
            raise error

    def end(self) -> None:
        """Terminate every VM, and make sure that nothing was left running."""
        self.store.prepare()
        owners = {read_record(machine).installation for machine in self.store.machines()}
        for hook in [self.hook(owner) for owner in owners]:
            outcomes = hook.terminate([instance.cloud_id for instance in hook.instances()])
            assert not [outcome for outcome in outcomes if outcome.error]
            wait_until(lambda hook=hook: not list(hook.instances()), "all VMs are gone")  # type: ignore[misc]
        wait_until(lambda: not self.processes(), "no process is left")


def is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie doesn't."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
