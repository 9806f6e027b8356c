"""A cloud on this machine: its VMs are groups of processes, each with a directory of its own.

For demonstrations, tests and first steps: it isolates nothing (docs/local-cloud.md).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from vmdirac.config.local import LocalCloudConfig, LocalFault, LocalFlavor
from vmdirac.hooks import local_supervision as supervision
from vmdirac.hooks.base import VmdiracCloudHook
from vmdirac.hooks.local_faults import LocalFaults, error_of
from vmdirac.hooks.local_machine import Machine, MachineState
from vmdirac.hooks.local_store import LocalStore, VmRecord, cloud_id_of, read_record, typed_errors
from vmdirac.model.cloud import (
    CloudInstance,
    CloudLimits,
    CloudState,
    LaunchOutcome,
    LaunchRequest,
    Shape,
    TerminateOutcome,
    VmKind,
)
from vmdirac.model.errors import CapacityError, CloudError, ConfigError, ErrorKind, QuotaError

CONSOLE_BYTES = 64 * 1024
"""How much of a VM's console is shown: its end."""

_REFUSES_NEW_VMS = frozenset({ErrorKind.CAPACITY, ErrorKind.QUOTA, ErrorKind.CONFIG})
"""Errors about a VM to be made, so that a launch which only finds its VM again does not get them."""


class VmdiracLocalHook(VmdiracCloudHook):
    """The local cloud. All installations that use the same root directory share one account."""

    conn_type: ClassVar[str] = "vmdirac_local"
    default_conn_name: ClassVar[str] = "vmdirac_local_default"
    hook_name: ClassVar[str] = "VMDIRAC local cloud"

    @cached_property
    def config(self) -> LocalCloudConfig:
        """See :meth:`own_config`."""
        return self.own_config(LocalCloudConfig)

    @cached_property
    def root(self) -> Path:
        """Where the VMs live. The directory need not exist yet."""
        if self.config.root_directory:
            return self.config.root_directory
        home = Path(os.path.expandvars(os.environ.get("AIRFLOW_HOME", "~/airflow"))).expanduser()
        return home / "vmdirac_local" / quote(self.vmdirac_conn_id, safe="")

    @cached_property
    def _store(self) -> LocalStore:
        store = LocalStore(self.root)
        with typed_errors(self.root):
            store.prepare()
        return store

    @cached_property
    def _faults(self) -> LocalFaults:
        return LocalFaults(self.config.faults, self._store.root)

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        return [self._launch_outcome(request) for request in requests]

    def _launch_outcome(self, request: LaunchRequest) -> LaunchOutcome:
        try:
            return LaunchOutcome(request.token, cloud_id=self._launch(request))
        except CloudError as error:
            return LaunchOutcome(request.token, error=error)

    def _launch(self, request: LaunchRequest) -> str:
        fault = self._fault_on("launch")
        if fault and not fault.after and fault.error not in _REFUSES_NEW_VMS:
            raise error_of(fault)
        cloud_id = cloud_id_of(self.installation_id, request.token)
        with typed_errors(self.root), self._store.locked():
            machine = self._store.machine(cloud_id)
            known = machine or self._store.finished(cloud_id)
            if known and read_record(known).digest != _digest(request):
                raise ConfigError("this launch token was used before, with other parameters")
            if not known:
                if fault and not fault.after:
                    raise error_of(fault)
                machine = self._create(cloud_id, request)
            # An earlier launch may have been killed at this point: then this one completes it.
            if machine and machine.read_state() is None:
                supervision.boot(machine)
        if fault and fault.after:
            raise error_of(fault)
        return cloud_id

    def _create(self, cloud_id: str, request: LaunchRequest) -> Machine:
        flavor = self._flavor(request.flavor)
        if request.boot_image not in self.config.boot_images:
            images = ", ".join(self.config.boot_images)
            raise ConfigError(f"there is no boot image {request.boot_image!r}; known are: {images}")
        try:
            user_data = request.user_data.encode()
        except UnicodeEncodeError:
            raise ConfigError("the user data is not text that UTF-8 can express") from None
        if request.max_price is not None and flavor.price > request.max_price:
            price = f"{flavor.price:g} an hour, {request.max_price:g} is allowed"
            raise CapacityError(f"flavor {request.flavor!r} costs {price}")
        if len(self._store.machines()) >= self.config.capacity:
            raise QuotaError(f"all {self.config.capacity} VMs that the local cloud may have are there")
        boot_fault = self._faults.for_boot(request.token)
        record = VmRecord(
            installation=self.installation_id,
            token=request.token,
            name=request.name,
            boot_image=request.boot_image,
            flavor=request.flavor,
            processors=flavor.processors,
            memory_mb=flavor.memory_mb,
            tags=self.tags_of(request),
            digest=_digest(request),
            launched_at=datetime.now(UTC),
            boot_delay=self.config.boot_delay,
            boot_fault=boot_fault.how if boot_fault else None,
        )
        return self._store.publish(self._store.stage(record, user_data), cloud_id)

    def instances(self) -> Iterator[CloudInstance]:
        owner = self.installation_id
        fault = self._fault_on("list")
        found = []
        with typed_errors(self.root):
            for machine in self._store.machines():
                # A VM may be gone before its turn comes.
                with suppress(FileNotFoundError):
                    record = read_record(machine)
                    if record.installation == owner and (state := supervision.observe(machine, self._store)):
                        found.append(_as_listed(machine, record, state))
        if fault:
            # A list breaks off in the middle: who takes what came for all of it is wrong.
            yield from found[: len(found) // 2]
            raise error_of(fault)
        yield from found

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        return [self._terminate_outcome(cloud_id) for cloud_id in cloud_ids]

    def _terminate_outcome(self, cloud_id: str) -> TerminateOutcome:
        try:
            self._terminate(cloud_id)
        except CloudError as error:
            return TerminateOutcome(cloud_id, error)
        return TerminateOutcome(cloud_id)

    def _terminate(self, cloud_id: str) -> None:
        fault = self._fault_on("terminate")
        if fault and not fault.after:
            raise error_of(fault)
        with typed_errors(self.root), suppress(FileNotFoundError):
            if machine := self._store.machine(cloud_id):
                self._ensure_own(machine)
                supervision.terminate(machine)
        if fault:
            raise error_of(fault)

    def console(self, cloud_id: str) -> str:
        """The last 64 KiB of what the VM's processes wrote to their standard output and error.

        Kept for the last hundred VMs that are gone. Raises ConfigError for a VM of another installation.
        """
        if fault := self._fault_on("console"):
            raise error_of(fault)
        with typed_errors(self.root):
            # In this order: a VM that ends between the two is found among the finished ones.
            for find in (self._store.machine, self._store.finished):
                if machine := find(cloud_id):
                    with suppress(FileNotFoundError):
                        self._ensure_own(machine)
                        return _tail(machine.console)
        return ""

    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        records = []
        with typed_errors(self.root):
            for machine in self._store.machines():
                with suppress(FileNotFoundError):
                    records.append(read_record(machine))
        return CloudLimits(
            instances=self.config.capacity,
            instances_used=len(records),
            processors_used=sum(record.processors for record in records),
            memory_mb_used=sum(record.memory_mb for record in records),
        )

    def shape(self, flavor: str) -> Shape:
        found = self._flavor(flavor)
        return Shape(found.processors, found.memory_mb)

    def test_connection(self) -> tuple[bool, str]:
        """See :meth:`vmdirac.model.contracts.Cloud.test_connection`. Makes no directory."""
        if not sys.platform.startswith("linux"):
            return False, "The local cloud needs Linux: it looks after its processes through /proc."
        if findings := self.configuration_findings():
            return False, "; ".join(findings)
        capacity, root = self.config.capacity, self.root
        nearest = next(path for path in (root, *root.parents) if os.access(path, os.F_OK))
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            return False, f"The root directory {root} cannot be used: {nearest} is no directory we may write to."
        # Airflow tests under a name that it made up, so a default directory would be one that nobody uses.
        place = f" below {root}" if self.config.root_directory is not None else ""
        return True, f"The local cloud is ready for {capacity} VMs{place}."

    def _flavor(self, name: str) -> LocalFlavor:
        try:
            return self.config.flavors[name]
        except KeyError:
            flavors = ", ".join(self.config.flavors)
            raise ConfigError(f"there is no flavor {name!r}; known are: {flavors}") from None

    def _fault_on(self, verb: str) -> LocalFault | None:
        with typed_errors(self.root):
            return self._faults.for_call(verb)

    def _ensure_own(self, machine: Machine) -> None:
        if read_record(machine).installation != self.installation_id:
            raise ConfigError(f"{machine.cloud_id} belongs to another installation")


def _digest(request: LaunchRequest) -> str:
    """The same for equal requests; says nothing of the user data, which holds a secret too long to be guessed."""
    parts = [request.name, request.boot_image, request.flavor, request.user_data, sorted(request.tags)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _as_listed(machine: Machine, record: VmRecord, state: MachineState) -> CloudInstance:
    return CloudInstance(
        cloud_id=machine.cloud_id,
        token=record.token,
        name=record.name,
        state=CloudState(state.name),
        launched_at=record.launched_at,
        private_ip="127.0.0.1",
        message="being terminated" if machine.termination_asked() else state.message,
    )


def _tail(file: Path) -> str:
    # The VM can put anything in the place of its console; of a pipe, say, the reader would wait for ever.
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return ""
        stream.seek(max(0, status.st_size - CONSOLE_BYTES))
        return stream.read(CONSOLE_BYTES).decode(errors="replace")
