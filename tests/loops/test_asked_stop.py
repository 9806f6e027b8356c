"""Stops that a person asks for, with a look at them before, and their end."""

from __future__ import annotations

from tests.fakes.rows import add_instance
from tests.fakes.vm import boot
from tests.fakes.world import World
from vmdirac.loops.asked_stop import StopReport, preview_stop, stop_selected, take_back_selected
from vmdirac.manager.vm_messages import VmAction
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.model.stop import Selection, StopStep, StopWish
from vmdirac.store.database import Store

S = InstanceStatus
ALL = Selection(pods=("pod",))


def wish(*, forced: bool = False, selection: Selection = ALL) -> StopWish:
    return StopWish(selection, "ada", "the lab moves", forced=forced)


def look_and_stop(world: World, asked: StopWish) -> StopReport:
    return stop_selected(world.store, asked, world.clock(), looked_at=preview_stop(world.store, asked).ids)


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
    assert preview.ids == [vm.instance.id]
    assert stop_selected(store, wish(), world.clock(), looked_at=preview.ids) == preview
    item = vm.instance
    assert (item.status, item.drain_phase, item.stop_reason) == (S.STOPPING, DrainPhase.ASKED, StopReason.REQUESTED)
    line = world.history(item.id)[-1]
    assert (line.reason, line.at) == ("stopped by ada: the lab moves", world.clock())
    assert vm.heartbeat().action is VmAction.DRAIN
    world.clock.advance(minutes=1)
    world.reconcile()
    assert world.cloud.machines()
    assert stop_selected(store, wish(), world.clock(), looked_at=preview.ids).untouched == 1


def test_a_forced_stop_hands_the_jobs_back(store: Store) -> None:
    world = World(store)
    working(world, 2)
    ids = [item.id for item in world.instances()]
    report = look_and_stop(world, wish(forced=True))
    assert (dict(report.steps), report.jobs, dict(report.by_pod)) == ({StopStep.FORCE: 2}, 2, {("pod", "alpha"): ids})
    assert world.job_counts() == {JobStatus.RUNNING: 2}, "they go back when their VMs are gone, not before"
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
    report = look_and_stop(world, wish())
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
    look_and_stop(world, wish(selection=Selection(ids=(one.id,))))
    assert [item.status for item in world.instances()] == [S.STOPPING, S.RUNNING]
    assert other in world.instances()


def test_a_stop_is_taken_back_until_the_deletion_begins(store: Store) -> None:
    world = World(store)
    working(world, 2)
    one, other = world.instances()
    look_and_stop(world, wish())
    look_and_stop(world, wish(selection=Selection(ids=(other.id,)), forced=True))
    assert take_back_selected(store, ALL, "bob", "the lab stays", world.clock()) == 1
    assert [item.status for item in world.instances()] == [S.RUNNING, S.STOPPING]
    assert world.history(one.id)[-1].reason == "bob wants it to go on: the lab stays"
    assert take_back_selected(store, ALL, "bob", "the lab stays", world.clock()) == 0


def test_only_those_are_stopped_that_were_looked_at_and_still_fit(store: Store) -> None:
    world = World(store)
    working(world, 3)
    first, second, third = (item.id for item in world.instances())
    asked = wish(selection=Selection(pods=("pod",), statuses=(S.RUNNING,)), forced=True)
    look_and_stop(world, wish(selection=Selection(ids=(third,))))
    preview = preview_stop(store, asked)
    assert preview.ids == [first, second]
    # Meanwhile one goes, and another one comes to fit.
    look_and_stop(world, wish(selection=Selection(ids=(first,))))
    take_back_selected(store, Selection(ids=(third,)), "bob", "it is needed", world.clock())
    report = stop_selected(store, asked, world.clock(), looked_at=preview.ids)
    assert (report.ids, report.unseen) == ([second], 1)
    assert str(report).endswith("1 others fit by now and are left: nobody has looked at them")
    forced = {item.id: item.forced for item in world.instances()}
    assert forced == {first: False, second: True, third: False}
    assert {item.id: item.status for item in world.instances()}[third] is S.RUNNING
    assert stop_selected(store, asked, world.clock(), looked_at=[]).stopped == 0


def test_it_is_said_which_they_are(store: Store) -> None:
    World(store)
    with store.write() as session:
        ids = [add_instance(session, pod=pod, jobs=1).id for pod in ("a", "b", "a", "a", "", "a")]
    report = preview_stop(store, wish(selection=Selection(endpoints=("alpha",)), forced=True))
    assert ids == list(range(ids[0], ids[0] + 6))
    assert str(report).splitlines() == [
        "6 go by force, whatever they are doing",
        f"1 of tasks on alpha: {ids[4]}",
        f"4 of pod a on alpha: {ids[0]}, {ids[2]}-{ids[3]}, {ids[5]}",
        f"1 of pod b on alpha: {ids[1]}",
        "6 jobs go back to the queue, when their VMs say that they end or are gone",
    ]
    assert str(preview_stop(store, wish(selection=Selection(pods=("none",))))) == "no VM fits"
