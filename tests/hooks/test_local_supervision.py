"""Deaths: of a VM, of its supervisor, of the machine."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.hooks.fleet import launched, listed, wait_for_state, wait_until_gone
from tests.hooks.local_world import STAYING_UP, LocalWorld, is_alive, kill
from tests.hooks.waiting import wait_until
from vmdirac.hooks import local_supervision as supervision
from vmdirac.hooks.local_machine import RUNNING, MachineState
from vmdirac.hooks.local_processes import boot_id, find_process
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import ConfigError

pytestmark = pytest.mark.slow

ORPHANS = """#!/bin/sh
echo $$ >> "$HOME/pids"
setsid sh -c 'setsid sleep 600 & echo $! >> "$HOME/pids"; echo $$ >> "$HOME/pids"; exec sleep 600' &
(sleep 600 & echo $! >> "$HOME/pids")
echo yes > "$HOME/ready"
exec sleep 600
"""
"""Starts, besides itself, three processes: in sessions of their own, or with their parent dead."""


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with any VM."""
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        yield process
        assert process.poll() is None, "a process was hit that is of no VM"
        process.kill()


def pids(world: LocalWorld, cloud_id: str) -> list[int]:
    wait_until(lambda: world.disk_file(cloud_id, "ready"), "the VM runs all its processes")
    # Each writes its number in its own time.
    wait_until(lambda: len(world.disk_file(cloud_id, "pids").split()) == 4, "all processes gave their number")
    return [int(pid) for pid in world.disk_file(cloud_id, "pids").split()]


def test_all_descendants_go_with_their_vm(world: LocalWorld) -> None:
    hook = world.hook()
    # With an emptied environment nothing but descent says whose they are.
    (cloud_id,) = launched(hook, world.request(ORPHANS.replace("setsid sleep", "setsid env -i sleep")))
    running = pids(world, cloud_id)
    assert all(is_alive(pid) for pid in running)
    hook.terminate([cloud_id])
    wait_until_gone(hook, cloud_id)
    assert not any(is_alive(pid) for pid in running)


def test_a_vm_that_powers_itself_off_takes_its_descendants_along(world: LocalWorld) -> None:
    hook = world.hook()
    user_data = ORPHANS.replace('yes > "$HOME/ready"\nexec sleep 600', 'yes > "$HOME/ready"\nread _ < "$HOME/off"')
    (cloud_id,) = launched(hook, world.request(user_data.replace("#!/bin/sh", '#!/bin/sh\nmkfifo "$HOME/off"')))
    running = pids(world, cloud_id)
    (world.machine(cloud_id).disk / "off").write_text("now\n")
    vm = wait_for_state(hook, cloud_id, CloudState.STOPPED)
    assert vm.message == "powered off: its user data ended with status 0"
    assert not any(is_alive(pid) for pid in running)


def test_a_terminated_vm_goes_though_nobody_looks(world: LocalWorld) -> None:
    hook = world.hook()
    ids = launched(hook, world.request(), world.request())
    for cloud_id in ids:
        wait_for_state(hook, cloud_id, CloudState.RUNNING)
    hook.terminate(ids)
    wait_until(lambda: not world.store.machines(), "the supervisors have archived their VMs")


def test_all_descendants_have_the_time_to_say_good_bye(world: LocalWorld) -> None:
    hook = world.hook()
    polite = "trap 'sleep 0.2; echo bye; exit' TERM; echo yes >> \"$HOME/ready\"; while :; do sleep 600; done"
    user_data = f'#!/bin/sh\ncat > "$HOME/child" <<\'END\'\n{polite}\nEND\nsetsid sh "$HOME/child" &\n{polite}\n'
    (cloud_id,) = launched(hook, world.request(user_data))
    wait_until(lambda: world.disk_file(cloud_id, "ready") == "yes\nyes\n", "both can be told to end")
    hook.terminate([cloud_id])
    wait_until_gone(hook, cloud_id)
    # Some shells also say that they were terminated.
    assert hook.console(cloud_id).count("bye\n") == 2


@pytest.mark.slow
def test_what_ignores_sigterm_is_killed(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request(ORPHANS.replace("#!/bin/sh", "#!/bin/sh\ntrap '' TERM")))
    running = pids(world, cloud_id)
    hook.terminate([cloud_id])
    assert all(is_alive(pid) for pid in running), "terminate does not wait, and there is a time of grace"
    wait_until_gone(hook, cloud_id)
    assert not any(is_alive(pid) for pid in running)


def test_the_death_of_the_supervisor_kills_the_user_data_by_itself(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request(ORPHANS))
    init = pids(world, cloud_id)[0]
    kill(world.supervisor(cloud_id).pid)
    wait_until(lambda: not is_alive(init), "the user data is dead")


def test_the_death_of_the_supervisor_is_seen_and_leaves_nothing_running(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request(ORPHANS))
    running = pids(world, cloud_id)
    supervisor = world.supervisor(cloud_id).pid
    kill(supervisor)
    wait_until(lambda: not is_alive(supervisor), "the supervisor is dead")
    vm = listed(hook)[cloud_id]
    assert (vm.state, "supervisor died" in vm.message) == (CloudState.STOPPED, True)
    assert not any(is_alive(pid) for pid in running)
    hook.terminate([cloud_id])
    assert not listed(hook)


def test_a_vm_whose_supervisor_died_can_be_terminated_unseen(world: LocalWorld) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request(ORPHANS))
    running = pids(world, cloud_id)
    supervisor = world.supervisor(cloud_id).pid
    kill(supervisor)
    wait_until(lambda: not is_alive(supervisor), "the supervisor is dead")
    assert hook.terminate([cloud_id])[0].error is None
    assert not any(is_alive(pid) for pid in running)
    assert not world.store.machines()


def test_what_resists_being_killed_is_not_gone(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    supervisor = world.supervisor(cloud_id).pid
    kill(supervisor)
    wait_until(lambda: not is_alive(supervisor), "the supervisor is dead")
    with monkeypatch.context() as patched:
        patched.setattr(supervision, "kill_marked", lambda _: False)
        hook.terminate([cloud_id])
        assert listed(hook)[cloud_id].state is CloudState.RUNNING
    assert not listed(hook)


def test_another_installation_leaves_a_dead_vm_alone(world: LocalWorld) -> None:
    hook, theirs = world.hook(), world.hook("theirs")
    (cloud_id,) = launched(hook, world.request(ORPHANS))
    running = pids(world, cloud_id)
    kill(world.supervisor(cloud_id).pid)
    wait_until(lambda: not is_alive(running[0]), "the supervisor is dead")
    assert not listed(theirs)
    assert isinstance(theirs.terminate([cloud_id])[0].error, ConfigError)
    assert any(is_alive(pid) for pid in running)
    assert listed(hook)[cloud_id].state is CloudState.STOPPED


@pytest.mark.parametrize("way", ["reused", "rebooted"])
def test_the_number_of_a_dead_supervisor_is_nobody(
    world: LocalWorld, stranger: subprocess.Popen[bytes], way: str
) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    machine = world.machine(cloud_id)
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    supervisor = world.supervisor(cloud_id)
    kill(supervisor.pid)
    wait_until(lambda: not is_alive(supervisor.pid), "the supervisor is dead")
    now = find_process(stranger.pid)
    assert now
    assert now.started != supervisor.started
    # Its number is now the stranger's: under this boot with another start time, or under another boot.
    reused = MachineState(RUNNING, "", stranger.pid, supervisor.started, boot_id())
    rebooted = MachineState(RUNNING, "", stranger.pid, now.started, "another boot")
    machine.write_state({"reused": reused, "rebooted": rebooted}[way])
    assert hook.terminate([cloud_id])[0].error is None
    assert not listed(hook)


def test_after_a_reboot_a_vm_is_stopped(world: LocalWorld, stranger: subprocess.Popen[bytes]) -> None:
    hook = world.hook()
    (cloud_id,) = launched(hook, world.request())
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    machine, supervisor = world.machine(cloud_id), world.supervisor(cloud_id)
    kill(supervisor.pid)
    wait_until(lambda: not is_alive(supervisor.pid), "the supervisor is dead")
    machine.write_state(MachineState(RUNNING, "", stranger.pid, supervisor.started, "another boot"))
    assert listed(hook)[cloud_id].state is CloudState.STOPPED


def test_one_dead_vm_does_not_hide_the_others(world: LocalWorld) -> None:
    hook = world.hook()
    dead, alive = launched(hook, world.request(), world.request(STAYING_UP))
    wait_for_state(hook, dead, CloudState.RUNNING)
    wait_for_state(hook, alive, CloudState.RUNNING)
    kill(world.supervisor(dead).pid)
    wait_for_state(hook, dead, CloudState.STOPPED)
    assert listed(hook)[alive].state is CloudState.RUNNING
