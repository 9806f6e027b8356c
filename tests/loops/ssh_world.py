"""An installation whose VMs are contextualized over ssh, in memory."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from tests.fakes.configured import an_image
from tests.fakes.ssh import FakeSsh, SshVm
from tests.fakes.vm import CallingVm
from tests.fakes.world import World
from vmdirac.hooks.ssh_errors import LoginKeyError
from vmdirac.loops.contextualize import ContextReport, contextualize
from vmdirac.loops.contextualize_visit import Visitor
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.model.instance import Instance
from vmdirac.model.ssh import SshAccess
from vmdirac.store import ssh_contexts
from vmdirac.store.database import Store
from vmdirac.store.tables import InstallationRow, SshContextRow

CONNECTION = "the-key"


class SshWorld(World):
    """One pod of an image that is contextualized over ssh, on one cloud.

    ``served``: the manager serves VMs all the time.

    :param vms: that are launched at the beginning, and seen by a first list.
    """

    def __init__(self, store: Store, vms: int = 1, *, access: dict[str, Any] | None = None, **image: Any) -> None:
        ssh = SshAccess(connection=CONNECTION, **(access or {}))
        super().__init__(store, images=[an_image(context_method="ssh", ssh=ssh, **image)])
        self.ssh = FakeSsh()
        self.served = True
        self.known_connections = {CONNECTION}
        self.allowed_connections = frozenset({CONNECTION, "the-pods-key"})
        if vms:
            self.submit(vms)
            self.tick()
            self.clock.advance(seconds=1)
            self.reconcile()

    def contextualize(self) -> ContextReport:
        """One pass, a minute later."""
        self.clock.advance(seconds=60)
        if self.served:
            with self.store.write() as session:
                session.execute(update(InstallationRow).values(served_at=self.clock()))
        visitor = Visitor(
            self.store,
            self.cloud,
            self.keys,
            self.clock,
            read_key=self._read_key,
            allowed=lambda: self.allowed_connections,
            log_in=self.ssh.log_in,
            pause=lambda: None,
        )
        return contextualize(self.store, "alpha", deadlines_of(self.configuration), visitor, self.clock)

    def _read_key(self, conn_id: str) -> Any:
        if conn_id not in self.known_connections:
            raise LoginKeyError(f"there is no connection {conn_id!r}")
        return object()

    def vm_of(self, instance: Instance) -> SshVm:
        return self.ssh[instance.public_ip]

    @property
    def vm(self) -> SshVm:
        """That of the only instance."""
        return self.vm_of(self.instance())

    def context(self, instance_id: int | None = None) -> SshContextRow:
        with self.store.read() as session:
            found = ssh_contexts.get(session, instance_id or self.instance().id)
        assert found is not None
        return found

    def agent_of(self, instance: Instance) -> CallingVm:
        """What its script has started there."""
        script = next(iter(self.vm_of(instance).scripts.values()))
        return CallingVm(self, instance.cloud_id or "", script)
