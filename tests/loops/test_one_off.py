"""VMs that tasks ask for by themselves: exactly once through crashes and retries, and never left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from tests.fakes.cloud import Fault
from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.rows import add_instance
from tests.fakes.world import World
from vmdirac.loops.launch import LaunchReport, launch
from vmdirac.loops.one_off import (
    LaunchesHeldError,
    NoRoomError,
    NotATasksError,
    delete_stopped,
    reserve,
    stop_all,
    stop_all_of,
)
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import AuthError, CapacityError, ConfigError, TransientError
from vmdirac.model.one_off import Requester, Wish
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.store import endpoints, installation, one_offs
from vmdirac.store.database import Store
from vmdirac.store.tables import HoldRow, ImageRow

pytestmark = pytest.mark.slow

TASK = Requester("dag", "manual__1", "start")
WISH = Wish("alpha", "linux", "small", 2, timedelta(hours=1), user_data="#!/bin/sh\n", name="mine")


def reserved(world: World, task: Requester = TASK, try_number: int = 1, **wish: Any) -> list[int]:
    id_, endpoint = installation.installation_id(world.store, world.clock()), world.endpoints["alpha"]
    return reserve(world.store, endpoint, task, replace(WISH, **wish), id_, world.clock(), try_number=try_number)


def launched(world: World, task: Requester = TASK, try_number: int = 1, **wish: Any) -> list[int]:
    ids = reserved(world, task, try_number, **wish)
    launch(world.store, world.cloud, "alpha", (), world.clock, only=ids)
    return ids


def pass_by(world: World, minutes: float = 1) -> None:
    world.clock.advance(minutes=minutes)
    world.reconcile()


def running(world: World, **wish: Any) -> list[int]:
    ids = launched(world, **wish)
    pass_by(world)
    assert {item.status for item in world.instances()} == {InstanceStatus.RUNNING}
    return ids


def ended(world: World, ids: list[int]) -> None:
    doomed = stop_all(world.store, ids, "terminated by a test", world.clock())
    for endpoint, chosen in doomed.items():
        delete_stopped(world.store, world.clouds[endpoint], endpoint, chosen, world.clock)


class Died(BaseException):
    """The process is no more."""


def dies(world: World) -> Callable[..., None]:
    def die(verb: str, _: object) -> None:
        if verb == "launch":
            raise Died

    return die


class TestStart:
    def test_they_are_instances_before_the_cloud_is_asked_and_run_without_an_agent(self, store: Store) -> None:
        world = World(store)
        ids = reserved(world)
        assert world.cloud.calls == []
        assert [item.status for item in world.instances()] == [InstanceStatus.NEW] * 2
        row = world.row(ids[0])
        assert (row.pod, row.image, row.requester) == (
            "",
            "",
            {
                "dag_id": "dag",
                "run_id": "manual__1",
                "task_id": "start",
                "map_index": -1,
            },
        )
        assert launched(world) == ids
        assert [item.status for item in world.instances()] == [InstanceStatus.SUBMITTED] * 2
        pass_by(world)
        assert [item.status for item in world.instances()] == [InstanceStatus.RUNNING] * 2
        assert [line.reason.split(":")[0] for line in world.history(ids[0])] == [
            "task start of dag, run manual__1 asked for it",
            "the cloud is asked for it (attempt 1)",
            "the cloud made it",
            "it runs, says the cloud",
        ]

    def test_the_user_data_goes_as_it_is(self, store: Store) -> None:
        world = World(store)
        text = "#!/bin/sh\necho @VMDIRAC_BOOTSTRAP_SECRET@ é\n"
        launched(world, user_data=text, count=1)
        [request] = world.cloud.requests
        assert (request.user_data, request.boot_image, request.flavor) == (text, "linux", "small")
        assert request.name.startswith("mine-")

    def test_a_try_after_another_one_goes_on_with_what_is_there(self, store: Store) -> None:
        world = World(store)
        ids = running(world)
        assert launched(world) == ids
        assert world.cloud.ever_made() == 2

    def test_more_are_added_and_fewer_forget_none(self, store: Store) -> None:
        world = World(store)
        ids = running(world)
        more = launched(world, count=3)
        assert more[:2] == ids
        assert launched(world, count=1) == more
        assert world.cloud.ever_made() == 3

    def test_what_was_terminated_is_started_anew_when_it_is_cleared(self, store: Store) -> None:
        world = World(store)
        ids = running(world)
        ended(world, ids[:1])
        again = launched(world)
        assert again[0] == ids[1]
        assert again[1] not in ids
        assert world.cloud.ever_made() == 3

    def test_other_tasks_have_other_vms(self, store: Store) -> None:
        world = World(store)
        ids = launched(world)
        assert not set(launched(world, replace(TASK, map_index=0))) & set(ids)
        assert world.cloud.ever_made() == 4


class TestCrashes:
    def test_after_the_reservation_nothing_is_launched_until_the_task_comes_back(self, store: Store) -> None:
        world = World(store)
        ids = reserved(world)
        world.tick()
        assert world.cloud.machines() == []
        assert launched(world) == ids
        assert len(world.cloud.machines()) == 2

    def test_if_it_never_comes_back_its_places_are_free_again(self, store: Store) -> None:
        world = World(store)
        reserved(world)
        world.clock.advance(minutes=6)
        assert world.sweep_stalled().never_asked == 2
        assert {item.status for item in world.instances()} == {InstanceStatus.HALTED}

    def test_right_before_the_cloud_hears_of_it_the_sweep_looks_and_it_is_asked_again(self, store: Store) -> None:
        world = World(store)
        ids = reserved(world, count=1)
        world.cloud.watch(dies(world))
        with pytest.raises(Died):
            launch(world.store, world.cloud, "alpha", (), world.clock, only=ids)
        world.cloud._watchers.clear()
        assert launched(world, count=1) == ids
        assert world.cloud.machines() == [], "it was asked for: whether it is there is for the lists to say"
        pass_by(world, minutes=6)
        pass_by(world)
        assert launched(world, count=1) == ids
        pass_by(world)
        assert world.instance().status is InstanceStatus.RUNNING
        assert world.cloud.ever_made() == 1

    def test_the_tick_asks_again_too(self, store: Store) -> None:
        world = World(store)
        world.cloud.fail("launch", TransientError("cut"))
        launched(world, count=1)
        pass_by(world, minutes=6)
        pass_by(world)
        world.tick()
        assert world.instance().status is InstanceStatus.SUBMITTED

    def test_right_after_it_was_made_it_is_adopted(self, store: Store) -> None:
        world = World(store)
        world.cloud.fail("launch", Fault(TransientError("cut"), after=True))
        ids = launched(world, count=1)
        assert world.instance().status is InstanceStatus.NEW
        assert launched(world, count=1) == ids
        pass_by(world)
        pass_by(world)
        assert world.instance().status is InstanceStatus.RUNNING
        assert world.cloud.ever_made() == 1


class TestLimitsAndHolds:
    def test_all_or_none_within_the_endpoints_limit(self, store: Store) -> None:
        world = World(store, endpoints=[an_endpoint(max_instances=3)])
        launched(world)
        with pytest.raises(NoRoomError, match="alpha cannot have 2 more VMs now"):
            reserved(world, replace(TASK, task_id="other"))
        assert len(world.instances()) == 2
        assert len(launched(world, replace(TASK, task_id="other"), count=1)) == 1

    def test_pods_see_them_there(self, store: Store) -> None:
        world = World(store, [a_pod()], [an_endpoint(max_instances=3)])
        launched(world)
        world.submit(5)
        world.tick()
        assert len([item for item in world.instances() if not item.one_off]) == 1

    def test_a_hold_of_the_endpoint_is_theirs_too(self, store: Store) -> None:
        world = World(store)
        world.cloud.fail("launch", AuthError("the key was revoked"))
        launched(world, count=1)
        assert world.instance().status is InstanceStatus.ERROR
        with pytest.raises(LaunchesHeldError, match="auth: the key was revoked"):
            reserved(world)
        assert len(world.instances()) == 1

    def test_lack_of_room_is_remembered_for_all(self, store: Store) -> None:
        world = World(store)
        world.cloud.fail("launch", CapacityError("no room"))
        launched(world, count=1)
        with store.read() as session:
            [hold] = endpoints.holds(session, world.clock())
        assert (hold.pod, hold.flavor) == ("", "small")

    def test_a_mistake_of_one_task_holds_nobody(self, store: Store) -> None:
        world = World(store)
        world.cloud.fail("launch", ConfigError("there is no image"))
        launched(world, count=1)
        with store.read() as session:
            assert session.query(HoldRow).all() == []
            [standing] = one_offs.standings(session, [world.instance().id]).values()
        assert standing.has_no_vm
        assert standing.reason == "config: there is no image"
        world.submit()
        world.tick()
        assert len(world.cloud.machines()) == 1

    def test_one_that_does_not_boot_says_nothing_of_pods_and_images(self, store: Store) -> None:
        world = World(store)
        launched(world, count=1)
        [machine] = world.cloud.machines()
        world.cloud.set_state(machine.cloud_id, CloudState.ERROR)
        pass_by(world)
        assert world.instance().status is InstanceStatus.STOPPING
        with store.read() as session:
            assert session.query(HoldRow).all() == []
            assert session.query(ImageRow).all() == []


class TestNothingElseIsDecidedAboutThem:
    def test_for_all_of_their_life(self, store: Store) -> None:
        world = World(store, [a_pod(campaign_end=None)])
        ids = running(world, max_lifetime=timedelta(hours=10))
        for _ in range(9):
            world.clock.advance(minutes=60)
            world.reconcile()
            world.sweep_idle()
            world.sweep_stalled()
        assert [item.status for item in world.instances()] == [InstanceStatus.RUNNING] * 2
        assert {len(world.history(id_)) for id_ in ids} == {4}

    def test_nor_while_they_boot_however_long(self, store: Store) -> None:
        world = World(store)
        launched(world, count=1)
        world.cloud.set_state("vm-0001", CloudState.PENDING)
        pass_by(world, minutes=50)
        world.sweep_stalled()
        assert world.instance().status is InstanceStatus.SUBMITTED


class TestEnd:
    def test_it_is_written_down_the_cloud_is_asked_and_gone_is_confirmed(self, store: Store) -> None:
        world = World(store)
        ids = running(world, count=1)
        doomed = stop_all(store, ids, "terminated by a test", world.clock())
        item = world.instance()
        assert (item.status, item.forced, item.stop_reason) == (
            InstanceStatus.STOPPING,
            True,
            StopReason.REQUESTED,
        )
        assert world.history(item.id)[-1].reason == "terminated by a test"
        assert len(world.cloud.machines()) == 1
        delete_stopped(store, world.cloud, "alpha", doomed["alpha"], world.clock)
        assert world.cloud.machines() == []
        assert (world.instance().status, world.instance().drain_phase) == (
            InstanceStatus.STOPPING,
            DrainPhase.DELETING,
        )
        pass_by(world)
        assert world.instance().status is InstanceStatus.HALTED

    def test_twice_is_as_good_as_once(self, store: Store) -> None:
        world = World(store)
        ids = running(world, count=1)
        ended(world, ids)
        ended(world, ids)
        assert [verb for verb, _ in world.cloud.calls].count("terminate") == 1
        pass_by(world)
        ended(world, ids)
        assert world.instance().status is InstanceStatus.HALTED

    def test_if_the_process_dies_in_between_the_sweep_ends_it(self, store: Store) -> None:
        world = World(store)
        stop_all(store, running(world), "terminated by a test", world.clock())
        pass_by(world)
        assert world.cloud.machines() == []
        pass_by(world)
        assert {item.status for item in world.instances()} == {InstanceStatus.HALTED}

    def test_so_it_does_with_what_the_cloud_does_not_take(self, store: Store) -> None:
        world = World(store)
        ids = running(world, count=1)
        world.cloud.fail("terminate", TransientError("cut"))
        ended(world, ids)
        assert len(world.cloud.machines()) == 1
        pass_by(world, minutes=2)
        pass_by(world)
        assert world.instance().status is InstanceStatus.HALTED

    def test_what_was_never_asked_for_is_halted_at_once(self, store: Store) -> None:
        world = World(store)
        ended(world, reserved(world))
        assert {(item.status, item.vm_gone) for item in world.instances()} == {(InstanceStatus.HALTED, True)}
        assert world.cloud.calls == []

    @pytest.mark.parametrize("made", [True, False])
    def test_what_the_cloud_has_not_answered_for_is_looked_for_and_deleted(self, store: Store, *, made: bool) -> None:
        world = World(store)
        world.cloud.fail("launch", Fault(TransientError("cut"), after=made))
        ended(world, launched(world, count=1))
        item = world.instance()
        assert (item.status, item.vm_gone) == (InstanceStatus.ERROR, False)
        for _ in range(4):
            pass_by(world, minutes=3)
        assert world.cloud.machines() == []
        assert not world.instance().holds_a_place
        if made:
            assert world.instance().stop_reason is StopReason.REQUESTED

    def test_stopped_while_the_cloud_answers_it_is_not_forgotten(self, store: Store) -> None:
        world = World(store)
        ids = reserved(world, count=1)

        def kill(verb: str, _: object) -> None:
            if verb == "launch":
                stop_all(store, ids, "killed", world.clock())

        world.cloud.watch(kill)
        assert launch(store, world.cloud, "alpha", (), world.clock, only=ids) == LaunchReport(launched=1)
        assert world.instance().status is InstanceStatus.ERROR
        for _ in range(3):
            pass_by(world, minutes=3)
        assert world.cloud.machines() == []
        assert world.instance().status is InstanceStatus.HALTED

    def test_what_nobody_terminates_ends_with_its_life(self, store: Store) -> None:
        world = World(store)
        running(world, max_lifetime=timedelta(hours=2))
        world.clock.advance(minutes=118)
        assert world.sweep_idle().outlived == 0
        world.clock.advance(minutes=2)
        assert world.sweep_idle().outlived == 2
        assert {(item.forced, item.stop_reason) for item in world.instances()} == {(True, StopReason.MAX_LIFETIME)}
        pass_by(world)
        assert world.cloud.machines() == []

    def test_nor_does_one_stay_for_ever_that_never_came(self, store: Store) -> None:
        world = World(store)
        world.cloud.fail("launch", TransientError("cut"))
        launched(world, count=1, max_lifetime=timedelta(hours=2))
        for _ in range(3):
            pass_by(world, minutes=60)
        assert world.instance().status is InstanceStatus.NEW, "it may be asked for again"
        assert world.sweep_idle().outlived == 1
        for _ in range(2):
            pass_by(world, minutes=3)
        assert not world.instance().holds_a_place

    def test_a_try_that_is_told_late_that_it_has_ended_stops_nothing_of_the_next_one(self, store: Store) -> None:
        world = World(store)
        ids = running(world)
        assert launched(world, try_number=2) == ids
        assert world.history(ids[0])[-1].reason == "try 2 goes on with it"
        assert stop_all_of(store, TASK, "killed", world.clock(), try_number=1) == {}
        assert {item.status for item in world.instances()} == {InstanceStatus.RUNNING}
        assert stop_all_of(store, TASK, "killed", world.clock(), try_number=2) == {"alpha": ids}
        assert {item.status for item in world.instances()} == {InstanceStatus.STOPPING}

    def test_vms_of_pods_are_not_ended_by_tasks_and_then_none_is(self, store: Store) -> None:
        world = World(store)
        ids = running(world, count=1)
        with store.write() as session:
            pods = add_instance(session)
        for strange in (pods.id, 10**6):
            with pytest.raises(NotATasksError, match=f"instance {strange}"):
                stop_all(store, [*ids, strange], "terminated by a test", world.clock())
        assert {item.status for item in world.instances()} == {InstanceStatus.RUNNING}


def test_where_all_stand_and_why_is_one_query(store: Store) -> None:
    world = World(store)
    ids = running(world, count=3)
    ended(world, ids[:1])
    world.cloud.set_state("vm-0002", CloudState.ERROR)
    pass_by(world)
    with counted(store) as statements, store.read() as session:
        found = one_offs.standings(session, [*ids, 10**6])
    assert len(statements) == 1
    assert [(item.status, item.reason) for _, item in sorted(found.items())] == [
        (InstanceStatus.HALTED, "terminated by a test"),
        (InstanceStatus.STOPPING, "it is error in the cloud"),
        (InstanceStatus.RUNNING, ""),
    ]


@contextmanager
def counted(store: Store) -> Iterator[list[str]]:
    """The queries that the store runs meanwhile."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.extend([statement] if statement.startswith("SELECT") else [])

    event.listen(store.engine, "before_cursor_execute", note)
    yield found
    event.remove(store.engine, "before_cursor_execute", note)
