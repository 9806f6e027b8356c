"""A cloud whose VMs really boot; its API is a fake one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tests.fakes.cloud import Behaviour, FakeCloud
from vmdirac.model.cloud import CloudInstance, CloudState, LaunchOutcome, LaunchRequest, Shape


class Vm(Protocol):
    """What boots."""

    @property
    def runs(self) -> bool: ...

    def stop(self) -> None: ...


class BootingCloud(FakeCloud):
    """A VM that is to be deleted gets the time to power itself off: it is there as long as it runs.

    :param boot: starts a VM, given its name and user data.
    """

    def __init__(self, boot: Callable[[str, bytes], Vm]) -> None:
        shapes = {"small": Shape(1, 400)}
        behaviour = Behaviour(delete_takes=timedelta(days=1), shapes=shapes, boot_images=frozenset({"debian"}))
        super().__init__(lambda: datetime.now(UTC), behaviour=behaviour)
        self._boot = boot
        self.vms: dict[str, Vm] = {}

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        outcomes = super().launch(requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            if outcome.cloud_id and outcome.cloud_id not in self.vms:
                self.vms[outcome.cloud_id] = self._boot(request.name, request.user_data.encode())
        return outcomes

    def stop_all(self) -> None:
        """Pull all plugs."""
        for vm in self.vms.values():
            vm.stop()

    def instances(self) -> Iterator[CloudInstance]:
        for cloud_id, vm in self.vms.items():
            if not vm.runs:
                asked = self.machine(cloud_id).delete_asked_at is not None
                self.set_state(cloud_id, CloudState.TERMINATED if asked else CloudState.STOPPED)
        yield from super().instances()
