"""Drains are taken back when there is work again, and ended when they take too long and the pod wants that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.fakes.clock import START
from tests.fakes.configured import a_pod
from tests.fakes.rows import add_instance
from tests.fakes.vm import FakeVm, boot
from tests.fakes.world import World
from vmdirac.loops.drains import take_back
from vmdirac.loops.sweeps import IdleReport
from vmdirac.manager.vm_messages import VmAction
from vmdirac.model.pod import DeadlineOverrides
from vmdirac.model.states import AfterDrainDeadline, DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.store import installation, instances, queue
from vmdirac.store.database import Store
from vmdirac.store.tables import JobRow


def idle_vms(world: World, number: int = 1) -> list[FakeVm]:
    """So many VMs that have been asked to drain, because they had nothing to do."""
    jobs = world.submit(number)
    world.tick()
    with world.store.write() as session:
        queue.cancel(session, jobs, world.clock())
    vms = boot(world)
    for _ in range(6):
        world.clock.advance(minutes=1)
        for vm in vms:
            vm.heartbeat()
    assert world.sweep_idle() == IdleReport(idle=number, campaign_ended=0)
    return vms


class TestWorkAgain:
    def test_a_draining_vm_goes_on_and_no_other_is_started(self, store: Store) -> None:
        world = World(store)
        (vm,) = idle_vms(world)
        assert vm.heartbeat().action is VmAction.DRAIN
        world.submit()
        world.tick()
        assert len(world.instances()) == 1
        item = vm.instance
        assert (item.status, item.drain_phase, item.stop_reason) == (InstanceStatus.RUNNING, None, None)
        assert world.history(item.id)[-1].reason == "there is work for it again: it drains no more"
        assert vm.heartbeat().action is VmAction.WORK
        assert len(vm.match()) == 1

    def test_only_as_many_as_there_is_work_for(self, store: Store) -> None:
        world = World(store)
        idle_vms(world, 3)
        world.submit(2)
        world.tick()
        assert sorted(item.status for item in world.instances()) == [
            InstanceStatus.RUNNING,
            InstanceStatus.RUNNING,
            InstanceStatus.STOPPING,
        ]

    def test_it_has_its_whole_margin_again(self, store: Store) -> None:
        world = World(store)
        (vm,) = idle_vms(world)
        (job,) = world.submit()
        world.tick()
        with world.store.write() as session:
            queue.cancel(session, [job], world.clock())
        for _ in range(4):
            world.clock.advance(minutes=1)
            vm.heartbeat()
            assert world.sweep_idle().idle == 0
        world.clock.advance(minutes=1)
        vm.heartbeat()
        assert world.sweep_idle().idle == 1

    def test_one_that_has_said_good_bye_is_replaced(self, store: Store) -> None:
        """Its host goes down while it drains."""
        world = World(store)
        (vm,) = idle_vms(world)
        vm.halting("shutdown")
        world.submit()
        world.tick()
        assert vm.instance.status is InstanceStatus.STOPPING
        assert len(world.instances(InstanceStatus.SUBMITTED)) == 1

    def test_what_is_being_deleted_already_is_replaced(self, store: Store) -> None:
        world = World(store)
        (vm,) = idle_vms(world)
        vm.heartbeat()
        vm.heartbeat()
        world.clock.advance(seconds=1)
        world.reconcile()
        assert vm.instance.drain_phase is DrainPhase.DELETING
        world.submit()
        world.tick()
        assert len(world.instances(InstanceStatus.SUBMITTED)) == 1


class TestTooLong:
    def overdue(self, store: Store, choice: AfterDrainDeadline) -> tuple[World, FakeVm]:
        """A VM that was asked to drain because its campaign is over, and that still works on its job an hour later."""
        deadline = DeadlineOverrides(drain=timedelta(hours=1), silence=timedelta(days=1))
        world = World(store, [a_pod(after_drain_deadline=choice, deadlines=deadline)])
        world.submit()
        world.tick()
        (vm,) = boot(world)
        assert vm.match()
        yesterday = world.clock().date() - timedelta(days=1)
        world.pods = {"pod": a_pod(after_drain_deadline=choice, deadlines=deadline, campaign_end=yesterday)}
        vm.heartbeat()
        assert world.sweep_idle().campaign_ended == 1
        for _ in range(2):
            assert vm.heartbeat().action is VmAction.DRAIN
        world.clock.advance(minutes=61)
        assert vm.heartbeat().action is VmAction.DRAIN
        return world, vm

    def test_it_may_finish(self, store: Store) -> None:
        world, vm = self.overdue(store, AfterDrainDeadline.WAIT)
        assert world.sweep_idle().overdue == 0
        assert vm.heartbeat().action is VmAction.DRAIN

    def test_one_that_never_heard_of_it_is_not_ended(self, store: Store) -> None:
        """The manager dies as soon as the VM has been asked; when it is back the VM has its whole deadline."""
        deadline = DeadlineOverrides(drain=timedelta(hours=1))
        pod = a_pod(after_drain_deadline=AfterDrainDeadline.KILL, deadlines=deadline)
        world = World(store, [pod])
        world.submit()
        world.tick()
        (vm,) = boot(world)
        assert vm.match()
        vm.heartbeat()
        world.pods = {"pod": replace(pod, campaign_end=world.clock().date() - timedelta(days=1))}
        assert world.sweep_idle().campaign_ended == 1
        world.hearing = False
        world.clock.advance(minutes=600)
        assert world.sweep_idle().overdue == 0
        installation.mark_hearing(store, world.clock())
        world.hearing = True
        assert vm.heartbeat().action is VmAction.DRAIN
        for _ in range(10):
            world.clock.advance(minutes=6)
            assert vm.heartbeat().action is VmAction.DRAIN
            assert world.sweep_idle().overdue == 0
        assert vm.finish(vm.jobs[0])

    def test_it_is_ended_and_its_job_goes_back(self, store: Store) -> None:
        world, vm = self.overdue(store, AfterDrainDeadline.KILL)
        assert world.sweep_idle().overdue == 1
        assert world.sweep_idle().overdue == 0, "once is enough"
        item = vm.instance
        assert (item.forced, item.stop_reason) == (True, StopReason.DRAIN_DEADLINE)
        assert vm.heartbeat().action is VmAction.HALT
        world.clock.advance(seconds=1)
        world.reconcile()
        assert world.cloud.machines() == []
        world.clock.advance(minutes=3)
        world.reconcile()
        assert vm.instance.status is InstanceStatus.HALTED
        assert world.job_counts() == {JobStatus.WAITING: 1}
        with store.read() as session:
            job = session.scalars(select(JobRow)).one()
        assert job.max_attempts == 4, "the end of its VM was our decision: it uses up no attempt"


@pytest.mark.parametrize("before", [InstanceStatus.SUBMITTED, InstanceStatus.CONTEXTUALIZING])
def test_one_that_was_never_heard_of_goes_back_to_where_it_was(store: Store, before: InstanceStatus) -> None:
    with store.write() as session:
        item = add_instance(session, before)
        assert instances.change(
            session, item, START, "not wanted", to=InstanceStatus.STOPPING, drain_phase=DrainPhase.EMPTY
        )
        stopping = instances.get(session, item.id)
        assert stopping is not None
        assert take_back(session, [stopping], "wanted after all", START) == {item.id}
        assert take_back(session, [stopping], "wanted after all", START) == set(), "somebody was faster"
        again = instances.get(session, item.id)
        assert again is not None
        assert (again.status, again.drain_phase) == (before, None)
