"""An account on EC2 for installations that processes may die in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import botocore.loaders  # type: ignore[import-untyped]

from tests.crash_suite.audit import OURS, MadeVm
from tests.crash_suite.cloud_installation import CloudInstallation, open_store
from tests.crash_suite.databases import Database
from tests.crash_suite.points import Countdown
from tests.fakes.clock import START, Clock
from tests.hooks.ec2_world import IMAGE, Ec2World, SmallPages
from tests.servers.ec2 import Ec2Server
from tests.servers.faulty_proxy import FaultyProxy
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.hooks.ec2_listing import belongs_to, tags_of
from vmdirac.model.cloud import TOKEN_TAG
from vmdirac.model.pod import BootSource
from vmdirac.store.database import Store

# Each process makes clients of its own; to read the description of EC2 once is enough.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)

FLAVOR = "t3.micro"


class Ec2Installation(CloudInstallation):
    """The installation, and the server that its account is on."""

    def __init__(self, ground: Ec2Ground, store: Store, clock: Clock) -> None:
        cloud = ground.hook("alpha", OURS, connection=ground.account.connection())
        super().__init__(store, clock, cloud, ground, BootSource(IMAGE, FLAVOR), most=ground.most)
        self.ground = ground
        self.server = ground.account.server


class Ec2Ground:
    """The ground of one scene.

    :param prepare: brings an installation to the moment of the deed.
    :param most: VMs that there may be.
    :param hook: with small pages unless there are many VMs.
    :param afterwards: see :func:`tests.crash_suite.points.watch_statements`.
    """

    def __init__(
        self,
        account: Ec2World,
        proxy: FaultyProxy,
        database: Database,
        prepare: Callable[[Ec2Installation], None],
        *,
        most: int = 100,
        hook: type[VmdiracEc2Hook] = SmallPages,
        afterwards: bool = False,
    ) -> None:
        self.account, self.proxy, self._database = account, proxy, database
        self.most, self.hook = most, hook
        self._others: _Others | None = None
        self._prepare = prepare
        self._afterwards = afterwards
        self._moment = START

    def lay_out(self) -> None:
        self.proxy.wait_until_quiet()
        self.account.server.reset()
        self._database.clear()
        self.account.refill_allowance()
        self._others = _Others(self.account.server, IMAGE)
        self._moment = START
        world = self.enter(None)
        self._prepare(world)
        self._moment = world.clock()
        world.store.close()

    def enter(self, countdown: Countdown | None) -> Ec2Installation:
        store = open_store(self._database, countdown, afterwards=self._afterwards)
        return Ec2Installation(self, store, Clock(self._moment))

    # The account, see tests.crash_suite.audit.Account.

    def made(self) -> list[MadeVm]:
        return [
            MadeVm(cloud_id, tags_of(vm)[TOKEN_TAG], vm["State"]["Name"] != "terminated")
            for cloud_id, vm in self.account.server.ever_made().items()
            if belongs_to(vm, OURS)
        ]

    def user_data(self, cloud_id: str) -> str:
        return self.account.server.user_data(cloud_id).decode()

    def check_others(self) -> None:
        assert self._others is not None
        self._others.check()


class _Others:
    """VMs in the account that are not ours: another installation's, and one that somebody made by hand."""

    def __init__(self, server: Ec2Server, image: str) -> None:
        tags = [{"Key": "vmdirac-installation", "Value": "theirs"}, {"Key": TOKEN_TAG, "Value": "0-1"}]
        self._server = server
        self._before = [self._made(image, tags), self._made(image, [{"Key": "Name", "Value": "mine"}])]

    def _made(self, image: str, tags: list[dict[str, str]]) -> tuple[str, dict[str, str]]:
        specification = [{"ResourceType": "instance", "Tags": tags}]
        made = self._server.admin.run_instances(
            ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, TagSpecifications=specification
        )
        return self._seen(made["Instances"][0])

    @staticmethod
    def _seen(vm: dict[str, Any]) -> tuple[str, dict[str, str]]:
        return vm["InstanceId"], tags_of(vm)

    def check(self) -> None:
        """:raises AssertionError: if anything was done to them."""
        after = [self._seen(vm) for vm in self._server.vms().values() if vm["State"]["Name"] in {"running", "pending"}]
        assert all(vm in after for vm in self._before), "a VM of others was touched"
