"""``vmdirac why``: what is asked for is answered from what is stored, and nothing else is needed for it."""

from datetime import timedelta
from typing import Any

import pytest

from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.ssh import a_key
from tests.fakes.vm import boot
from tests.fakes.world import World
from tests.loops.ssh_world import SshWorld
from vmdirac.cli import main
from vmdirac.loops.one_off import reserve, stop_all
from vmdirac.model.errors import AuthError
from vmdirac.model.one_off import Requester, Wish
from vmdirac.model.requirements import Offer
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def world(store: Store) -> World:
    return World(store, [a_pod(offer=Offer(1000, owner_groups=("prod",)))], [an_endpoint(max_instances=2)])


def answer(capsys: pytest.CaptureFixture[str], *question: str) -> str:
    assert main(["why", *question]) == 0
    return capsys.readouterr().out


def test_why_has_a_pod_no_vm(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.tick()
    said = answer(capsys, "pod", "pod")
    assert "pod 'pod' is Active" in said
    assert "its VMs: none" in said
    assert "on alpha: 0 to start: no waiting job matches what its VMs offer" in said
    assert "none of its VMs was ever started" in said


def test_why_has_a_pod_no_more_vms(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.submit(5, owner_group="prod")
    world.tick()
    said = answer(capsys, "pod", "pod")
    assert "its VMs: 2 Submitted" in said
    assert "2 to start: 5 waiting jobs can fill 5 more VMs; the endpoint has 2 of at most 2 VMs" in said
    assert "5 VMs warranted, 2 launched, 0 refused" in said


def test_why_does_a_job_wait_that_a_limit_keeps_waiting(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = world.submit(5, owner_group="prod")
    world.clock.advance(seconds=1)
    world.tick()
    said = answer(capsys, "job", str(jobs[-1]))
    assert "4 jobs that need the same are before it" in said
    assert "who would serve it, and what was decided there:" in said
    assert "the endpoint has 2 of at most 2 VMs" in said
    assert "VMs that could serve it, Submitted: 1, 2 (2 of them with room for it)" in said


@pytest.mark.parametrize(
    ("needs", "because"),
    [
        ({"owner_group": "other"}, "the job's owner group is other, served is prod"),
        ({"owner_group": "prod", "tags": ("gpu",)}, "the job needs tags that are not offered: gpu"),
        ({"owner_group": "prod", "sites": ("cern",)}, "the job names site cern, offered is site-alpha"),
        ({"owner_group": "prod", "processors": 9}, "the job needs 9 processors, its VMs have 1"),
    ],
)
def test_why_does_nobody_serve_a_job(
    world: World, capsys: pytest.CaptureFixture[str], needs: dict[str, Any], because: str
) -> None:
    (job,) = world.submit(1, **needs)
    world.tick()
    said = answer(capsys, "job", str(job))
    assert "no VM that is there could serve it" in said
    assert f"no pod serves this job:\n  pod on alpha: {because}" in said


def test_a_job_that_no_tick_has_seen_yet(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (job,) = world.submit(1, owner_group="prod")
    assert "no tick has planned anything yet" in answer(capsys, "job", str(job))
    world.tick()
    world.clock.advance(seconds=5)
    (late,) = world.submit(1, owner_group="prod")
    assert "it was submitted after the last tick began" in answer(capsys, "job", str(late))


def test_a_job_that_runs_and_one_that_ended(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    (job,) = world.submit(1, owner_group="prod")
    world.tick()
    (vm,) = boot(world)
    (matched,) = vm.match()
    assert f"runs on instance {vm.instance_id}" in answer(capsys, "job", str(job))
    vm.finish(matched)
    said = answer(capsys, "job", str(job))
    assert f"job {job} (job) is done" in said
    assert f"attempt 1: on instance {vm.instance_id}" in said


def test_why_was_a_vm_started_and_why_stopped(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.submit(1, owner_group="prod")
    world.tick()
    (vm,) = boot(world)
    said = answer(capsys, "instance", str(vm.instance_id))
    assert "started: tick 1 decided to start it: 1 waiting jobs can fill 1 more VMs" in said
    assert "tick 1 saw 1 matching jobs and 0 active VMs there, and started 1" in said
    assert "stopped:" not in said
    vm.halting("out of disk")
    said = answer(capsys, "instance", str(vm.instance_id))
    assert "is Stopping" in said
    assert "stopped: it halts: out of disk (vm_reported)" in said


def test_a_launch_that_the_cloud_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.submit(1, owner_group="prod")
    world.cloud.fail("launch", AuthError("who are you?"))
    world.tick()
    said = answer(capsys, "instance", "1")
    assert "stopped: the cloud refused it: who are you?" in said
    assert "last error: auth: who are you?" in said
    world.clock.advance(minutes=1)
    world.tick()
    assert "launches are held until" in answer(capsys, "pod", "pod")


def test_a_vm_that_a_task_asked_for(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    task = Requester("nightly", "manual__1", "start")
    wish = Wish("alpha", "linux", "small", 1, timedelta(hours=1))
    ids = reserve(world.store, world.endpoints["alpha"], task, wish, "ours", world.clock(), try_number=1)
    stop_all(world.store, ids, "terminated by a test", world.clock())
    said = answer(capsys, "instance", str(ids[0]))
    assert f"instance {ids[0]} (task start of nightly, run manual__1 on alpha) is Halted" in said
    assert "started: task start of nightly, run manual__1 asked for it" in said
    assert "stopped: terminated by a test; the cloud was never asked for it (requested)" in said


@pytest.mark.parametrize(
    ("question", "complaint"),
    [
        (["pod", "pood"], "there is no pod 'pood'; did you mean 'pod'?"),
        (["job", "77"], "there is no job 77; `vmdirac jobs list` shows those there are"),
        (["instance", "77"], "there is no instance 77"),
    ],
)
def test_what_is_not_there(
    world: World, capsys: pytest.CaptureFixture[str], question: list[str], complaint: str
) -> None:
    world.tick()
    assert main(["why", *question]) == 1
    assert complaint in capsys.readouterr().err


def test_how_did_its_contextualization_over_ssh_go(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = SshWorld(store)
    world.vm.exit_status, world.vm.output = 7, "no space left\n"
    world.contextualize()
    world.vm.host_key = a_key("b")
    world.contextualize()
    said = answer(capsys, "instance", str(world.instance().id))
    assert "is Wait_ssh_context since" in said
    assert f"ssh host keys, trusted on first use: {a_key('a')}" in said
    assert "its script ended with status 7" in said
    assert "  no space left" in said
    assert "1 visits in a row came to nothing" in said
    assert "suspicious: somebody has pretended to be its VM; the history says how" in said
    assert f"Wait_ssh_context: suspicious: {world.instance().public_ip} shows {a_key('b')}" in said
