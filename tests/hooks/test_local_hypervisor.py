"""How a VM boots, or does not."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hooks.fleet import launched, listed, wait_for_state, wait_until_gone
from tests.hooks.local_world import LocalWorld, is_alive
from tests.hooks.waiting import wait_until
from vmdirac.hooks import local_hypervisor
from vmdirac.hooks.local_hypervisor import BOOTED, FAILED, NOT_NEEDED
from vmdirac.hooks.local_processes import signal_process
from vmdirac.model.cloud import CloudState

pytestmark = pytest.mark.slow


def start_again(world: LocalWorld, cloud_id: str) -> int:
    directory = world.machine(cloud_id).directory
    command = [sys.executable, "-I", "-S", local_hypervisor.__file__, str(directory)]
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode


def test_a_vm_is_pending_until_its_boot_delay_is_over(world: LocalWorld) -> None:
    (waiting,) = launched(world.hook(boot_delay=600), world.request())
    (quick,) = launched(world.hook(), world.request())
    wait_for_state(world.hook(), quick, CloudState.RUNNING)
    assert listed(world.hook())[waiting].state is CloudState.PENDING


def test_a_pending_vm_can_be_terminated(world: LocalWorld) -> None:
    hook = world.hook(boot_delay=600)
    ids = launched(hook, world.request('#!/bin/sh\necho "it ran"\n'))
    hook.terminate(ids)
    wait_until_gone(hook, *ids)
    assert hook.console(ids[0]) == ""


def test_user_data_may_be_in_any_language(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request(f"#!{sys.executable}\nprint(6 * 7)\n"))
    wait_for_state(hook, cloud_id, CloudState.STOPPED)
    assert hook.console(cloud_id) == "42\n"


def test_the_end_of_the_user_data_powers_the_vm_off(world: LocalWorld) -> None:
    hook = world.hook()
    good, bad, killed = launched(
        hook,
        world.request("#!/bin/sh\nexit 0\n"),
        world.request("#!/bin/sh\nexit 3\n"),
        world.request("#!/bin/sh\nkill -9 $$\n"),
    )
    for cloud_id, status in ((good, 0), (bad, 3), (killed, -9)):
        vm = wait_for_state(hook, cloud_id, CloudState.STOPPED)
        assert vm.message == f"powered off: its user data ended with status {status}"


@pytest.mark.parametrize(
    ("user_data", "reason"),
    [
        ("#cloud-config\n", "does not begin with #!"),
        ("", "does not begin with #!"),
        ("echo no\n", "does not begin with #!"),
        ("#!/no/such/interpreter\n", "No such file or directory"),
        ("#!\n", "cannot be run"),
        ("#!/tmp\n", "Permission denied"),
    ],
)
def test_broken_user_data_is_an_error(world: LocalWorld, user_data: str, reason: str) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request(user_data))
    vm = wait_for_state(hook, cloud_id, CloudState.ERROR)
    assert reason in vm.message


@pytest.mark.parametrize(
    ("how", "state", "message"),
    [
        ("fail", CloudState.ERROR, "boot failed (injected fault)"),
        ("die", CloudState.STOPPED, "died while booting (injected fault)"),
        ("hang", CloudState.PENDING, ""),
    ],
)
def test_a_fault_on_boot(world: LocalWorld, how: str, state: CloudState, message: str) -> None:
    hook = world.hook(faults=[{"on": "boot", "how": how}])
    (cloud_id,) = launched(hook, world.request('#!/bin/sh\necho "it ran"\n'))
    (healthy,) = launched(world.hook(), world.request())
    assert wait_for_state(hook, cloud_id, state).message == message
    wait_for_state(hook, healthy, CloudState.RUNNING)
    assert listed(hook)[cloud_id].state is state
    assert hook.console(cloud_id) == ""
    hook.terminate([cloud_id])
    wait_until_gone(hook, cloud_id)


def test_a_supervisor_is_alone(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    first = world.supervisor(cloud_id)
    assert start_again(world, cloud_id) == NOT_NEEDED
    assert world.supervisor(cloud_id) == first


def test_a_vm_boots_only_once(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request("#!/bin/sh\necho boot\n"))
    wait_for_state(hook, cloud_id, CloudState.STOPPED)
    supervisor = world.machine(cloud_id).read_state()
    assert supervisor
    wait_until(lambda: not is_alive(supervisor.pid), "the supervisor has ended")
    assert start_again(world, cloud_id) == NOT_NEEDED
    assert hook.console(cloud_id) == "boot\n"


def test_a_vm_that_is_to_be_deleted_does_not_boot_any_more(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = world.hook()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/false")
        (cloud_id,) = launched(hook, world.request("#!/bin/sh\necho boot\n"))
    world.machine(cloud_id).ask_termination()
    assert start_again(world, cloud_id) == NOT_NEEDED
    assert not listed(hook)
    assert start_again(world, cloud_id) == NOT_NEEDED
    assert hook.console(cloud_id) == ""


def test_a_supervisor_started_by_hand_says_that_it_runs(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = world.hook()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/false")
        (cloud_id,) = launched(hook, world.request())
    assert start_again(world, cloud_id) == BOOTED
    wait_for_state(hook, cloud_id, CloudState.RUNNING)


def test_a_supervisor_that_fails_says_so(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = world.hook()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/false")
        (cloud_id,) = launched(hook, world.request())
    # In the place of a file that it must write.
    (world.machine(cloud_id).directory / "state.json.new").mkdir()
    assert start_again(world, cloud_id) == FAILED
    (world.machine(cloud_id).directory / "state.json.new").rmdir()
    assert listed(hook)[cloud_id].state is CloudState.ERROR


def test_told_to_end_from_outside_a_vm_is_stopped_and_not_deleted(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    assert signal_process(world.supervisor(cloud_id), signal.SIGTERM)
    assert wait_for_state(hook, cloud_id, CloudState.STOPPED).message == "terminated"


def test_the_processes_of_a_vm_begin_with_no_signal_blocked(world: LocalWorld) -> None:
    hook = world.hook()
    # Not in the shell itself, which blocks signals for a moment whenever it waits.
    (cloud_id,) = launched(hook, world.request("#!/bin/sh\nexec grep SigBlk /proc/self/status\n"))
    wait_for_state(hook, cloud_id, CloudState.STOPPED)
    assert hook.console(cloud_id).split() == ["SigBlk:", 16 * "0"]


def test_the_supervisor_shows_no_secret(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request("#!/bin/sh\n# treasure\nexec sleep 600\n"))
    pid = world.supervisor(cloud_id).pid
    shown = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    assert b"treasure" not in shown
    assert shown.split(b"\0")[3:5] == [
        local_hypervisor.__file__.encode(),
        str(world.machine(cloud_id).directory).encode(),
    ]
