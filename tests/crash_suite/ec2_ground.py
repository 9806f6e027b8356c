"""An installation with one endpoint, an account on EC2, that processes may die in."""

from __future__ import annotations

import functools
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any

import botocore.loaders  # type: ignore[import-untyped]
from sqlalchemy.util import LRUCache

from tests.crash_suite.audit import EVERY, OURS, Others, Waits, books, secrets_are_their_own
from tests.crash_suite.databases import Database
from tests.crash_suite.points import Countdown, watch_calls, watch_statements
from tests.fakes.clock import START, Clock
from tests.fakes.configured import a_pod, an_endpoint, an_image
from tests.fakes.world import Installation
from tests.hooks.ec2_world import IMAGE, Ec2World, SmallPages
from tests.servers.faulty_proxy import FaultyProxy
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.model.pod import BootSource, DeadlineOverrides, Traits
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store

# Each process makes clients of its own; to read the description of EC2 once is enough.
botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)

# Nor need each of them compile all statements.
COMPILED: MutableMapping[Any, Any] = LRUCache(2000)

FLAVOR = "t3.micro"
SETTLED = frozenset({InstanceStatus.SUBMITTED, InstanceStatus.RUNNING, InstanceStatus.HALTED})


class Ec2Installation(Installation):
    """The installation, and what is behind its cloud's API."""

    def __init__(self, ground: Ec2Ground, store: Store, clock: Clock) -> None:
        super().__init__(
            store,
            # Nobody boots here for longer than a VM usually takes.
            [a_pod(max_instances=ground.most, deadlines=DeadlineOverrides(boot=timedelta(days=1)))],
            # One VM a job.
            [an_endpoint(max_instances=ground.most, traits=Traits(processors=1))],
            [an_image(default=BootSource(IMAGE, FLAVOR))],
            clouds={"alpha": ground.hook("alpha", OURS, connection=ground.account.connection())},
            clock=clock,
            hearing=False,
        )
        # From the moment on at which a scene says so to the store.
        self.hearing = True
        self.ground = ground
        self.server = ground.account.server

    def start_no_more(self) -> None:
        """The pod gets no new VMs from now on: for jobs that are waiting again they would hide what is looked at."""
        self.pods = {"pod": a_pod(max_instances=0, deadlines=DeadlineOverrides(boot=timedelta(days=1)))}

    def all_loops(self) -> None:
        """The sweeps, and then a tick."""
        self.sweep_stalled()
        self.sweep_idle()
        self.reconcile()
        self.tick()

    def settle(self, *, every: timedelta = EVERY, passes: int = 12) -> None:
        """Let time pass with all loops running, until nothing is on its way any more; see what is there then.

        :raises AssertionError: if that takes too long, or if anything does not fit then.
        """
        waits = Waits(self, self.server)
        for _ in range(passes):
            waits.look()
            self.clock.advance(seconds=every.total_seconds())
            self.all_loops()
            if {item.status for item in self.instances()} <= SETTLED:
                break
        else:
            moving = {item.id: item.status for item in self.instances() if item.status not in SETTLED}
            raise AssertionError(f"still on the way: {moving}")
        found = books(self, self.server)
        assert not found.orphans, f"VMs that are no row's: {found}"
        assert not found.missing, f"rows without their VM: {found}"
        assert secrets_are_their_own(self, self.server), "a VM has not the secret of its row"
        assert self.ground.others is not None
        self.ground.others.check()


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
        self.others: Others | None = None
        self._prepare = prepare
        self._afterwards = afterwards
        self._moment = START

    def lay_out(self) -> None:
        self.proxy.wait_until_quiet()
        self.account.server.reset()
        self._database.clear()
        self.account.refill_allowance()
        self.others = Others(self.account.server, IMAGE)
        self._moment = START
        world = self.enter(None)
        self._prepare(world)
        self._moment = world.clock()
        world.store.close()

    def enter(self, countdown: Countdown | None) -> Ec2Installation:
        store = Store(self._database.url)
        store.engine.update_execution_options(compiled_cache=COMPILED)
        if countdown is not None:
            watch_statements(store.engine, countdown, afterwards=self._afterwards)
            watch_calls(countdown)
        return Ec2Installation(self, store, Clock(self._moment))
