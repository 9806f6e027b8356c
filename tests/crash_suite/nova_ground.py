"""A project of a real OpenStack for installations that processes may die in.

Nova knows no client token: whether a launch was made before, only its list can say.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.crash_suite.audit import OURS, MadeVm
from tests.crash_suite.cloud_installation import CloudInstallation, open_store
from tests.crash_suite.databases import Database
from tests.crash_suite.points import Countdown
from tests.fakes.clock import START, Clock
from tests.hooks.fleet import launched
from tests.hooks.openstack_world import OpenstackWorld
from tests.hooks.waiting import wait_until
from tests.servers.openstack_seed import IMAGE
from vmdirac.hooks.openstack_listing import belongs_to, token_of
from vmdirac.model.pod import BootSource

FLAVOR = "small"


class NovaGround:
    """The ground of one scene, each time it is laid out for another installation: VMs of the one before may take their
    time to go.

    :param prepare: brings an installation to the moment of the deed.
    """

    def __init__(
        self, openstack: OpenstackWorld, database: Database, prepare: Callable[[CloudInstallation], None]
    ) -> None:
        self.openstack, self._database, self._prepare = openstack, database, prepare
        self._stranger = ""
        self._moment = START

    def lay_out(self) -> None:
        self.openstack.nova.wait_until_quiet()
        self.openstack.tidy_up()
        self._database.clear()
        (self._stranger,) = launched(self.openstack.hook("theirs"), self.openstack.request())
        self._moment = START
        world = self.enter(None)
        self._prepare(world)
        self._moment = world.clock()
        world.store.close()

    def enter(self, countdown: Countdown | None) -> CloudInstallation:
        # What a process asked for before it was killed, Nova has done or refused by the time anybody looks again.
        self.openstack.nova.wait_until_quiet()
        store = open_store(self._database, countdown, afterwards=False)
        hook = self.openstack.hook(OURS)
        return CloudInstallation(store, Clock(self._moment), hook, self, BootSource(IMAGE, FLAVOR))

    # The account, see tests.crash_suite.audit.Account.

    def made(self) -> list[MadeVm]:
        ours = self.openstack.hook(OURS).installation_id
        return [
            MadeVm(server["id"], token_of(server), server["status"] != "DELETED")
            for server in self.openstack.ever_made()
            if belongs_to(server, ours)
        ]

    def user_data(self, cloud_id: str) -> str:
        """Known from the moment on at which the hypervisor has started the VM."""
        arrived = self.openstack.settings.hypervisor / f"{cloud_id}.user_data"
        wait_until(arrived.exists, "the VM is started")
        return arrived.read_text()

    def check_others(self) -> None:
        """Another installation's VM, in the same project."""
        assert self._stranger in self.openstack.servers(), "a VM of others was touched"
