"""kill -9 at every point of starting and ending VMs of a task: the next try has exactly its VMs, and without one they
all end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.clock import Clock
from tests.fakes.cloud import Behaviour
from tests.fakes.world import World
from tests.loops.test_crashes import Copies, open_world, points_made_good, template
from vmdirac.loops.launch import launch
from vmdirac.loops.one_off import delete_stopped, reserve, stop_all_of
from vmdirac.model.one_off import Requester, Wish
from vmdirac.model.states import InstanceStatus

__all__ = ["template"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

VMS = 2
TASK = Requester("dag", "manual__1", "start")
LIFE = timedelta(hours=2)
HERE = "alpha"


def start(world: World, try_number: int = 1) -> None:
    """What a try of the task does."""
    wish = Wish(HERE, "linux", "small", VMS, LIFE)
    ids = reserve(world.store, world.endpoints[HERE], TASK, wish, "ours", world.clock(), try_number=try_number)
    launch(world.store, world.clouds[HERE], HERE, (), world.clock, only=ids)


def end(world: World) -> None:
    """What ends them."""
    for endpoint, ids in stop_all_of(world.store, TASK, "ended by a test", world.clock(), try_number=1).items():
        delete_stopped(world.store, world.clouds[endpoint], endpoint, ids, world.clock)


def pass_time(world: World, minutes: float) -> None:
    world.clock.advance(minutes=minutes)
    world.reconcile(HERE)
    world.sweep_stalled()
    world.sweep_idle()


def check_that_all_run(world: World) -> None:
    """After the next try, and as many passes as a lost launch takes."""
    start(world, 2)
    for _ in range(6):
        if len(world.instances(InstanceStatus.RUNNING)) == VMS:
            break
        pass_time(world, 3)
        world.tick()
    rows = {(item.cloud_id, item.launch_token) for item in world.instances(InstanceStatus.RUNNING)}
    assert rows == {(vm.cloud_id, vm.request.token) for vm in world.clouds[HERE].machines()}
    assert len(rows) == VMS


def check_that_none_is_left(world: World) -> None:
    for _ in range(6):
        if not any(item.holds_a_place for item in world.instances()):
            break
        pass_time(world, 3)
    assert not [item for item in world.instances() if item.holds_a_place]
    assert world.clouds[HERE].machines() == []


def copies(template: Path, behaviour: Behaviour, *, started: bool = False) -> Copies:
    clock = Clock()
    world = open_world(template, clock, behaviour)
    if started:
        start(world)
        pass_time(world, 1)
        assert len(world.instances(InstanceStatus.RUNNING)) == VMS
        clock.advance(minutes=1)
    world.store.close()
    return Copies(template, clock, behaviour)


def test_the_next_try_has_its_vms_and_no_other(template: Path) -> None:
    def check(world: World) -> None:
        check_that_all_run(world)
        assert world.clouds[HERE].ever_made() == VMS, "never a second one"

    assert points_made_good(copies(template, Behaviour()), start, check) > 18


def test_also_on_a_cloud_that_does_not_know_tokens(template: Path) -> None:
    def check(world: World) -> None:
        check_that_all_run(world)
        assert world.clouds[HERE].ever_made() == VMS, "never a second one"

    assert points_made_good(copies(template, Behaviour(idempotent=False)), start, check) > 18


def test_without_a_next_try_they_end_with_their_life(template: Path) -> None:
    def check(world: World) -> None:
        pass_time(world, 3)
        pass_time(world, LIFE / timedelta(minutes=1))
        check_that_none_is_left(world)

    assert points_made_good(copies(template, Behaviour()), start, check) > 18


def test_an_end_that_was_written_down_comes(template: Path) -> None:
    def check(world: World) -> None:
        if all(item.status is InstanceStatus.RUNNING for item in world.instances()):
            end(world)  # it died before that: whoever wanted it tries again
        assert not world.instances(InstanceStatus.RUNNING), "all of them at once, or none"
        check_that_none_is_left(world)

    assert points_made_good(copies(template, Behaviour(), started=True), end, check) > 12
