"""Stops that a person asks for, with a look at them before, and their end."""

from __future__ import annotations

import pytest

from tests.fakes.rows import add_instance
from tests.fakes.vm import boot
from tests.fakes.world import World
from vmdirac.loops.asked_stop import MoreThanAgreedError, preview_stop, stop_selected, take_back_selected
from vmdirac.manager.vm_messages import VmAction
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.model.stop import Selection, StopStep, StopWish
from vmdirac.store.database import Store

S = InstanceStatus
ALL = Selection(pods=("pod",))


def wish(*, forced: bool = False, selection: Selection = ALL) -> StopWish:
    return StopWish(selection, "ada", "the lab moves", forced=forced)


def working(world: World, number: int = 1) -> None:
    """So many VMs with a job each."""
    world.submit(number)
    world.tick()
    for vm in boot(world):
        assert vm.match(1)
        vm.heartbeat()


def test_a_graceful_stop_lets_the_jobs_end(store: Store) -> None:
    world = World(store)
    world.submit()
    world.tick()
    (vm,) = boot(world)
    assert vm.match()
    preview = preview_stop(store, wish())
    assert (dict(preview.steps), preview.jobs, preview.stopped) == ({StopStep.DRAIN: 1}, 0, 1)
    assert vm.instance.status is S.RUNNING, "it was only looked at"
    assert stop_selected(store, wish(), world.clock()) == preview
    item = vm.instance
    assert (item.status, item.drain_phase, item.stop_reason) == (S.STOPPING, DrainPhase.ASKED, StopReason.REQUESTED)
    line = world.history(item.id)[-1]
    assert (line.reason, line.at) == ("stopped by ada: the lab moves", world.clock())
    assert vm.heartbeat().action is VmAction.DRAIN
    world.clock.advance(minutes=1)
    world.reconcile()
    assert world.cloud.machines()
    assert stop_selected(store, wish(), world.clock()).untouched == 1


def test_a_forced_stop_hands_the_jobs_back(store: Store) -> None:
    world = World(store)
    working(world, 2)
    report = stop_selected(store, wish(forced=True), world.clock())
    assert (dict(report.steps), report.jobs, dict(report.by_pod)) == ({StopStep.FORCE: 2}, 2, {("pod", "alpha"): 2})
    world.clock.advance(seconds=1)
    world.reconcile()
    assert world.cloud.machines() == []
    world.clock.advance(minutes=3)
    world.reconcile()
    assert {item.status for item in world.instances()} == {S.HALTED}
    assert world.job_counts() == {JobStatus.WAITING: 2}


def test_all_that_has_a_vm_or_may_get_one_can_be_stopped(store: Store) -> None:
    world = World(store)
    with store.write() as session:
        for status in (S.NEW, S.SUBMITTED, S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING, S.RUNNING, S.STALLED):
            add_instance(session, status)
        add_instance(session, S.NEW, launch_attempts=1, last_launch_at=world.clock())
    report = stop_selected(store, wish(), world.clock())
    assert dict(report.steps) == {StopStep.RETIRE: 2, StopStep.END: 3, StopStep.DRAIN: 2}
    assert sorted((item.status, item.drain_phase) for item in world.instances()) == [
        (S.ERROR, None),
        (S.HALTED, None),
        *[(S.STOPPING, DrainPhase.ASKED)] * 2,
        *[(S.STOPPING, DrainPhase.EMPTY)] * 3,
    ]


def test_one_that_is_not_meant_is_left(store: Store) -> None:
    world = World(store)
    working(world, 2)
    one, other = world.instances()
    stop_selected(store, wish(selection=Selection(ids=(one.id,))), world.clock())
    assert [item.status for item in world.instances()] == [S.STOPPING, S.RUNNING]
    assert other in world.instances()


def test_a_stop_is_taken_back_until_the_deletion_begins(store: Store) -> None:
    world = World(store)
    working(world, 2)
    one, other = world.instances()
    stop_selected(store, wish(), world.clock())
    stop_selected(store, wish(selection=Selection(ids=(other.id,)), forced=True), world.clock())
    assert take_back_selected(store, ALL, "bob", "the lab stays", world.clock()) == 1
    assert [item.status for item in world.instances()] == [S.RUNNING, S.STOPPING]
    assert world.history(one.id)[-1].reason == "bob wants it to go on: the lab stays"
    assert take_back_selected(store, ALL, "bob", "the lab stays", world.clock()) == 0


def test_more_than_were_agreed_to_are_not_stopped(store: Store) -> None:
    world = World(store)
    working(world, 2)
    with pytest.raises(MoreThanAgreedError, match="2 VMs fit by now, and 1 were agreed to"):
        stop_selected(store, wish(), world.clock(), at_most=1)
    assert {item.status for item in world.instances()} == {S.RUNNING}
    assert stop_selected(store, wish(), world.clock(), at_most=2).stopped == 2
    assert str(preview_stop(store, wish(selection=Selection(pods=("none",))))) == "no VM fits"
