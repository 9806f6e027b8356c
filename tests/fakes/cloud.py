"""A cloud in memory that says no, loses answers, breaks off lists and forgets VMs, when a test tells it to."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import pytest

from tests.fakes.account import Account, Inventory, Machine, MemoryAccount
from vmdirac.model.cloud import (
    INSTALLATION_TAG,
    TOKEN_TAG,
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

Verb = Literal["launch", "list", "terminate", "console", "shape", "limits"]
Watcher = Callable[[Verb, Sequence[str]], None]


class DeathError(BaseException):
    """The process dies here: nobody catches it but the test."""


@dataclass
class Fault:
    """What one use of a verb ends with.

    :param after: the call takes effect, and only its answer is lost.
    :param page: the page of a list that is missing; those before it are delivered.
    """

    error: BaseException
    after: bool = False
    page: int = 0


@dataclass
class Behaviour:
    """What kind of cloud it is.

    :param idempotent: asked twice with one token it makes one VM; otherwise two, as Nova does.
    :param visible_after: how long a new VM is not listed.
    :param delete_takes: how long a deleted VM is still listed.
    :param remembers: a VM that is gone is still listed, as terminated.
    :param max_machines: VMs that the account may have.
    :param room: VMs of a flavor for which there is room; a flavor that is not named has room without end.
    """

    idempotent: bool = True
    visible_after: timedelta = timedelta(0)
    delete_takes: timedelta = timedelta(0)
    remembers: bool = False
    max_machines: int | None = None
    room: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=lambda: {"small": Shape(1, 2000), "large": Shape(4, 8000)})
    boot_images: frozenset[str] = frozenset({"linux"})
    page_size: int = 3
    addresses: bool = True


class FakeCloud:
    """:class:`vmdirac.model.contracts.Cloud`, seen by one installation."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        account: Account | None = None,
        behaviour: Behaviour | None = None,
        installation: str = "ours",
    ) -> None:
        self.clock = clock
        self.account = account or MemoryAccount()
        self.behaviour = behaviour or Behaviour()
        self.installation = installation
        self.requests: list[LaunchRequest] = []
        self.calls: list[tuple[Verb, tuple[str, ...]]] = []
        self._watchers: list[Watcher] = []
        self._faults: dict[Verb, deque[Fault | None]] = defaultdict(deque)
        self._broken: dict[Verb, Fault] = {}
        self._spoilt: dict[str, Exception] = {}
        self._forgotten: int | None = None
        self._blank = False

    # What tests do behind the API's back.

    def fail(self, verb: Verb, *faults: BaseException | Fault | None) -> None:
        """The next uses of the verb end so, one after the other; ``None``: well. In a batch each VM is one use."""
        for fault in faults:
            self._faults[verb].append(Fault(fault) if isinstance(fault, BaseException) else fault)

    @contextmanager
    def broken(self, verb: Verb, error: Exception, *, after: bool = False) -> Iterator[None]:
        """Meanwhile every use of the verb ends so."""
        self._broken[verb] = Fault(error, after=after)
        try:
            yield
        finally:
            del self._broken[verb]

    def spoil(self, cloud_id: str, error: Exception) -> None:
        """From now on every call that is to delete this VM, among others or alone, raises this when its turn comes: the
        contract forbids it."""
        self._spoilt[cloud_id] = error

    def forget_once(self, which: int) -> None:
        """The next list is complete, and yet without one VM that is there and is to stay: ``which`` of them, counted
        round and round. Eventually consistent clouds do that."""
        self._forgotten = which

    @contextmanager
    def blank(self) -> Iterator[None]:
        """Meanwhile every list is complete, and shows none of the VMs that are there."""
        self._blank = True
        try:
            yield
        finally:
            self._blank = False

    def forgive(self) -> None:
        """Everything goes well from now on."""
        self._faults.clear()
        self._spoilt.clear()

    def watch(self, watcher: Watcher) -> None:
        """Call this from inside of every later call, before the call has any effect."""
        self._watchers.append(watcher)

    def machines(self) -> list[Machine]:
        """The VMs of all installations that are not gone."""
        self._age()
        with self.account.opened() as inventory:
            return [machine for machine in inventory.machines.values() if not machine.gone]

    def machine(self, cloud_id: str) -> Machine:
        with self.account.opened() as inventory:
            return inventory.machines[cloud_id]

    def ever_made(self) -> int:
        with self.account.opened() as inventory:
            return len(inventory.machines)

    def set_state(self, cloud_id: str, state: CloudState) -> None:
        """Something happens to the VM: TERMINATED makes it vanish, STOPPED leaves it lying there."""
        with self.account.opened() as inventory:
            inventory.machines[cloud_id].state = state

    def interrupt(self, cloud_id: str, message: str = "it is about to be taken back") -> None:
        """The cloud announces that it takes the VM back."""
        with self.account.opened() as inventory:
            inventory.machines[cloud_id].interrupted = True
            inventory.machines[cloud_id].message = message

    def fail_to_start(self, cloud_id: str, fault: ErrorKind | None, message: str) -> None:
        """The launch was taken, and then came to nothing."""
        with self.account.opened() as inventory:
            machine = inventory.machines[cloud_id]
            machine.state, machine.fault, machine.message = CloudState.ERROR, fault, message

    def write_console(self, cloud_id: str, text: str) -> None:
        with self.account.opened() as inventory:
            inventory.machines[cloud_id].console += text

    def make_by_hand(self, request: LaunchRequest, *, tagged: bool = True) -> str:
        """A VM that nobody asked for through us, with our tags or without any; its id."""
        with self.account.opened() as inventory:
            cloud_id = self._make(inventory, request)
            if not tagged:
                inventory.machines[cloud_id].installation = ""
                inventory.machines[cloud_id].tags = {}
            return cloud_id

    # The contract.

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        self._note("launch", [request.token for request in requests])
        return [self._launch_one(request) for request in requests]

    def instances(self) -> Iterator[CloudInstance]:
        self._note("list", [])
        fault = self._fault("list")
        self._age()
        with self.account.opened() as inventory:
            shown = [machine for machine in inventory.machines.values() if self._is_listed(machine)]
        staying = [machine for machine in shown if machine.delete_asked_at is None]
        if self._forgotten is not None and staying:
            shown.remove(staying[self._forgotten % len(staying)])
        self._forgotten = None
        listed = [self._describe(machine) for machine in shown]
        pages = [listed[i : i + self.behaviour.page_size] for i in range(0, len(listed), self.behaviour.page_size)]
        for number, page in enumerate(pages or [[]]):
            if fault and number == fault.page:
                raise fault.error
            yield from page
        if fault and fault.page >= len(pages):
            raise fault.error

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        self._note("terminate", cloud_ids)
        return [self._terminate_one(cloud_id) for cloud_id in cloud_ids]

    def console(self, cloud_id: str) -> str:
        self._note("console", [cloud_id])
        self._raise_fault("console")
        with self.account.opened() as inventory:
            machine = inventory.machines.get(cloud_id)
            if machine is None:
                return ""
            if machine.installation != self.installation:
                raise ConfigError(f"{cloud_id} is another installation's")
            return machine.console

    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        self._note("limits", [])
        self._raise_fault("limits")
        return CloudLimits(instances=self.behaviour.max_machines, instances_used=len(self.machines()))

    def shape(self, flavor: str) -> Shape:
        self._note("shape", [flavor])
        self._raise_fault("shape")
        if flavor not in self.behaviour.shapes:
            raise ConfigError(f"there is no flavor {flavor!r}")
        return self.behaviour.shapes[flavor]

    def test_connection(self) -> tuple[bool, str]:
        return True, "it answers"

    # How it works inside.

    def _note(self, verb: Verb, names: Sequence[str]) -> None:
        self.calls.append((verb, tuple(names)))
        for watcher in self._watchers:
            try:
                watcher(verb, names)
            except Exception as error:  # noqa: BLE001 - whoever called the cloud may live with its exceptions
                pytest.fail(f"a watcher of {verb}: {error!r}")

    def _fault(self, verb: Verb) -> Fault | None:
        if verb in self._broken:
            return self._broken[verb]
        return self._faults[verb].popleft() if self._faults[verb] else None

    def _raise_fault(self, verb: Verb) -> None:
        if fault := self._fault(verb):
            raise fault.error

    def _launch_one(self, request: LaunchRequest) -> LaunchOutcome:
        self.requests.append(request)
        fault = self._fault("launch")
        try:
            if fault and not fault.after:
                raise fault.error
            with self.account.opened() as inventory:
                cloud_id = self._known(inventory, request.token) or self._make_if_allowed(inventory, request)
            if fault:
                raise fault.error
        except CloudError as error:
            return LaunchOutcome(request.token, error=error)
        return LaunchOutcome(request.token, cloud_id=cloud_id)

    def _known(self, inventory: Inventory, token: str) -> str | None:
        if not self.behaviour.idempotent:
            return None
        for machine in inventory.machines.values():
            if (machine.request.token, machine.installation) == (token, self.installation):
                return machine.cloud_id
        return None

    def _make_if_allowed(self, inventory: Inventory, request: LaunchRequest) -> str:
        there = [machine for machine in inventory.machines.values() if not machine.gone]
        if request.flavor not in self.behaviour.shapes:
            raise ConfigError(f"there is no flavor {request.flavor!r}")
        if request.boot_image not in self.behaviour.boot_images:
            raise ConfigError(f"there is no image {request.boot_image!r}")
        if self.behaviour.max_machines is not None and len(there) >= self.behaviour.max_machines:
            raise QuotaError(f"the account has {len(there)} of {self.behaviour.max_machines} VMs")
        room = self.behaviour.room.get(request.flavor)
        if room is not None and sum(machine.request.flavor == request.flavor for machine in there) >= room:
            raise CapacityError(f"no room for another {request.flavor}")
        return self._make(inventory, request)

    def _make(self, inventory: Inventory, request: LaunchRequest) -> str:
        cloud_id = inventory.new_id()
        tags = {**dict(request.tags), INSTALLATION_TAG: self.installation, TOKEN_TAG: request.token}
        inventory.machines[cloud_id] = Machine(cloud_id, self.installation, request, tags, self.clock())
        return cloud_id

    def _age(self) -> None:
        """Deletes that were asked for long enough ago are done."""
        with self.account.opened() as inventory:
            for machine in inventory.machines.values():
                asked = machine.delete_asked_at
                if asked is not None and self.clock() >= asked + self.behaviour.delete_takes:
                    machine.state = CloudState.TERMINATED

    def _is_listed(self, machine: Machine) -> bool:
        if self._blank or machine.installation != self.installation or (machine.gone and not self.behaviour.remembers):
            return False
        return self.clock() >= machine.launched_at + self.behaviour.visible_after

    def _describe(self, machine: Machine) -> CloudInstance:
        number = int(machine.cloud_id.removeprefix("vm-"))
        return CloudInstance(
            cloud_id=machine.cloud_id,
            token=machine.request.token,
            name=machine.request.name,
            state=machine.state,
            launched_at=machine.launched_at,
            public_ip=f"192.0.2.{number % 250 + 1}" if self.behaviour.addresses else "",
            private_ip=f"10.0.{number // 250}.{number % 250 + 1}" if self.behaviour.addresses else "",
            message=machine.message,
            fault=machine.fault,
            interrupted=machine.interrupted,
        )

    def _terminate_one(self, cloud_id: str) -> TerminateOutcome:
        if cloud_id in self._spoilt:
            raise self._spoilt[cloud_id]
        fault = self._fault("terminate")
        try:
            if fault and not fault.after:
                raise fault.error
            with self.account.opened() as inventory:
                machine = inventory.machines.get(cloud_id)
                if machine is not None and machine.installation != self.installation:
                    raise ConfigError(f"{cloud_id} is another installation's")
                if machine is not None and machine.delete_asked_at is None:
                    machine.delete_asked_at = self.clock()
            self._age()
            if fault:
                raise fault.error
        except CloudError as error:
            return TerminateOutcome(cloud_id, error)
        return TerminateOutcome(cloud_id)
