"""Many launches of which many answers get lost, and then the end of all these VMs in the same way."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from tests.crash_suite.databases import Database
from tests.crash_suite.ec2_ground import Ec2Ground, Ec2Installation
from tests.crash_suite.environment import Cloud
from tests.servers.faulty_proxy import Fault
from vmdirac.hooks.ec2_cloud import VmdiracEc2Hook
from vmdirac.model.errors import CloudError
from vmdirac.model.states import InstanceStatus
from vmdirac.store import installation, instances

PASSES = 20
"""After so many passes whatever is still on its way stays there."""


@dataclass(frozen=True)
class Losses:
    """What was counted: VMs that were launched and became a row's, their answers that were lost, VMs that were nobody's
    while all were up or in the end, and VMs that were made twice."""

    launches: int
    answers_lost: int
    orphans: int
    doubles: int


def launch_with_losses(cloud: Cloud, database: Database, launches: int, share: float) -> Losses:
    """Let the loops start so many VMs while this share of all answers gets lost, lists and deletes too, and then end
    all of them."""

    def jobs_wait(world: Ec2Installation) -> None:
        installation.mark_hearing(world.store, world.clock())
        world.submit(launches)

    ground = Ec2Ground(cloud.account, cloud.proxy, database, jobs_wait, most=launches, hook=VmdiracEc2Hook)
    ground.lay_out()
    world = ground.enter(None)
    lost = Fault("^RunInstances", status=0, after=True, share=share)
    try:
        with cloud.proxy.plan(lost, Fault("", status=0, after=True, share=share)):
            _until(world, {InstanceStatus.SUBMITTED})
            up = world.books()
            world.start_no_more()
            _stop_all(world)
            _until(world, {InstanceStatus.HALTED})
        down = world.books()
        launched = sum(item.cloud_id is not None for item in world.instances())
        return Losses(launched, lost.struck, len(up.orphans) + len(down.orphans), down.doubles)
    finally:
        world.store.close()


def _until(world: Ec2Installation, statuses: set[InstanceStatus]) -> None:
    """Let time pass with all loops running, which fail now and then, until all rows are in these states."""
    for _ in range(PASSES):
        for loop in (world.sweep_stalled, world.reconcile, world.tick):
            # An answer that it cannot do without was lost: the next run is the retry.
            with suppress(CloudError, ExceptionGroup):
                loop()
        world.clock.advance(minutes=2)
        rows = world.instances()
        if rows and {item.status for item in rows} <= statuses:
            return


def _stop_all(world: Ec2Installation) -> None:
    with world.store.write() as session:
        for item in world.instances(InstanceStatus.SUBMITTED):
            instances.change(session, item, world.clock(), "no longer wanted", to=InstanceStatus.STOPPING, forced=True)
