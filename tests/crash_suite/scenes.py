"""Moments at which a process of ours is killed: what led to them, what is done then, and what must come of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, TypeVar

from tests.crash_suite.audit import OURS
from tests.crash_suite.cloud_installation import CloudInstallation
from tests.crash_suite.ec2_ground import FLAVOR, Ec2Installation
from tests.fakes.rows import add_instance
from tests.fakes.vm import CallingVm
from tests.hooks.ec2_world import IMAGE
from vmdirac.model.cloud import INSTALLATION_TAG, TOKEN_TAG
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus
from vmdirac.store import installation, instances

JOBS = 3


W_contra = TypeVar("W_contra", bound=CloudInstallation, contravariant=True)


@dataclass(frozen=True)
class Scene(Generic[W_contra]):
    """One of them. ``check`` raises AssertionError after whatever is not as it should be."""

    name: str
    prepare: Callable[[W_contra], None]
    deed: Callable[[W_contra], object]
    check: Callable[[W_contra], None]


# A tick for three jobs.


def _jobs_wait(world: CloudInstallation) -> None:
    installation.mark_hearing(world.store, world.clock())
    world.submit(JOBS)


def _as_many_vms_as_jobs(world: CloudInstallation) -> None:
    world.settle()
    found = world.books()
    assert found.vms == JOBS, f"{found.vms} VMs for {JOBS} jobs"
    assert found.doubles == 0, f"{found.doubles} VMs were made twice"


TICK = Scene("tick", _jobs_wait, CloudInstallation.tick, _as_many_vms_as_jobs)


# A reconcile that adopts one VM, finds one gone, and deletes three: one that has died, one that is empty, a second one
# of a row, and an orphan.


def _much_to_reconcile(world: Ec2Installation) -> None:
    installation.mark_hearing(world.store, world.clock())
    _made_by_hand(world, "0-2")
    world.reconcile()
    world.clock.advance(minutes=6)
    world.submit(5)
    with world.ground.proxy.fault("RunInstances", status=0, after=True, times=1):
        world.tick()
    gone, dead, empty, doubled = world.instances(InstanceStatus.SUBMITTED)
    vms = [_calling(world, item) for item in (gone, dead, empty)]
    assert all(vm.match() for vm in vms[:2])
    _stop(world, vms[2].instance)
    world.server.admin.terminate_instances(InstanceIds=[gone.cloud_id])
    world.server.admin.stop_instances(InstanceIds=[dead.cloud_id])
    _made_by_hand(world, doubled.launch_token)
    world.clock.advance(minutes=4)


def _reconciled(world: Ec2Installation) -> None:
    world.start_no_more()
    world.settle()
    statuses = sorted(item.status for item in world.instances())
    assert statuses == [InstanceStatus.HALTED] * 3 + [InstanceStatus.SUBMITTED] * 2, statuses
    assert world.books().vms == 2
    assert world.job_counts() == {JobStatus.WAITING: 5}, "a job is waited for in vain"


RECONCILE = Scene("reconcile", _much_to_reconcile, Ec2Installation.reconcile, _reconciled)


# The sweeps, that ask the cloud nothing: one VM is idle, one is silent with its job, one has been for too long, one
# boots, and a row was never launched.


def _much_to_sweep(world: Ec2Installation) -> None:
    installation.mark_hearing(world.store, world.clock())
    world.submit(4)
    world.tick()
    idle, silent, stalled, _booting = world.instances(InstanceStatus.SUBMITTED)
    vms = [_calling(world, item) for item in (idle, silent, stalled)]
    assert vms[1].match()
    with world.store.write() as session:
        assert instances.change(session, vms[2].instance, world.clock(), "has been silent", to=InstanceStatus.STALLED)
        add_instance(session, InstanceStatus.NEW)
    world.clock.advance(minutes=44)
    world.reconcile()
    world.clock.advance(minutes=1)
    vms[0].heartbeat()


def _swept(world: Ec2Installation) -> None:
    world.start_no_more()
    # Not longer than a list says what is there.
    world.settle(every=timedelta(minutes=9), passes=20)
    statuses = sorted(item.status for item in world.instances())
    assert statuses == [InstanceStatus.HALTED] * 4 + [InstanceStatus.SUBMITTED], statuses
    assert world.books().vms == 1
    assert world.job_counts() == {JobStatus.WAITING: 4}, "a job is waited for in vain"


def _sweep(world: Ec2Installation) -> None:
    world.sweep_idle()
    world.sweep_stalled()


SWEEPS = Scene("sweeps", _much_to_sweep, _sweep, _swept)

SCENES: tuple[Scene[Ec2Installation], ...] = (TICK, RECONCILE, SWEEPS)


def _calling(world: Ec2Installation, item: Instance) -> CallingVm:
    assert item.cloud_id is not None
    vm = CallingVm(world, item.cloud_id, world.server.user_data(item.cloud_id).decode())
    vm.register()
    vm.heartbeat()
    return vm


def _stop(world: Ec2Installation, item: Instance) -> None:
    with world.store.write() as session:
        assert instances.change(
            session,
            item,
            world.clock(),
            "drained",
            to=InstanceStatus.STOPPING,
            drain_phase=DrainPhase.EMPTY,
        )


def _made_by_hand(world: Ec2Installation, token: str) -> None:
    """A VM with our tags that was made by no launch of ours."""
    tags = [{"Key": INSTALLATION_TAG, "Value": OURS}, {"Key": TOKEN_TAG, "Value": token}]
    world.server.admin.run_instances(
        ImageId=IMAGE,
        InstanceType=FLAVOR,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
