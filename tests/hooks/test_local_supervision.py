"""Deaths: of who launches a VM, at every step of it; of a VM's supervisor; of the machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tests.hooks.children import dying, in_processes, killed_while
from tests.hooks.contract import launched, listed, wait_for_state, wait_until_gone
from tests.hooks.local_world import STAYING_UP, LocalWorld, is_alive, kill
from tests.hooks.waiting import wait_until
from vmdirac.hooks import local_store
from vmdirac.hooks import local_supervision as supervision
from vmdirac.hooks.local_machine import RUNNING, MachineState
from vmdirac.hooks.local_processes import boot_id, find_process
from vmdirac.hooks.local_store import LocalStore
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import ConfigError, TransientError

COUNTING_BOOTS = '#!/bin/sh\necho boot >> "$HOME/boots"\nexec sleep 600\n'

ORPHANS = """#!/bin/sh
echo $$ >> "$HOME/pids"
setsid sh -c 'setsid sleep 600 & echo $! >> "$HOME/pids"; echo $$ >> "$HOME/pids"; exec sleep 600' &
(sleep 600 & echo $! >> "$HOME/pids")
echo yes > "$HOME/ready"
exec sleep 600
"""
"""Starts, besides itself, three processes: in sessions of their own, or with their parent dead."""

DEATHS: dict[str, tuple[ModuleType | type, str, bool]] = {
    "before anything is written": (LocalStore, "stage", False),
    "while the first file is written": (local_store, "_write_durably", False),
    "after the first file is written": (local_store, "_write_durably", True),
    "before the VM exists": (LocalStore, "publish", False),
    "once the VM exists": (LocalStore, "publish", True),
    "before its supervisor starts": (supervision, "spawn", False),
    "while its supervisor starts": (supervision, "spawn", True),
    "before the answer": (supervision, "boot", True),
}


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


# Death of the launcher.


@pytest.mark.parametrize("death", DEATHS)
def test_a_launch_killed_on_the_way_and_repeated_boots_one_vm(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch, death: str
) -> None:
    owner, name, after = DEATHS[death]
    hook, request = world.hook(), world.request(COUNTING_BOOTS)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, dying(getattr(owner, name), after=after))
        assert killed_while(lambda: hook.launch([request]))
    (cloud_id,) = launched(hook, request)
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    assert list(listed(hook)) == [cloud_id]
    wait_until(lambda: world.disk_file(cloud_id, "boots"), "the VM has booted")
    assert world.disk_file(cloud_id, "boots") == "boot\n"
    assert not list((world.root / "staging").iterdir())


@pytest.mark.parametrize("death", DEATHS)
def test_a_launch_killed_on_the_way_is_seen_in_the_list(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch, death: str
) -> None:
    owner, name, after = DEATHS[death]
    hook, request = world.hook(), world.request(COUNTING_BOOTS)
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, dying(getattr(owner, name), after=after))
        assert killed_while(lambda: hook.launch([request]))

    def settled() -> list[CloudState]:
        states = [vm.state for vm in listed(hook).values()]
        return states if CloudState.PENDING not in states else []

    exists = bool(world.store.machines())
    assert exists == (death not in list(DEATHS)[:4])
    if exists:
        (state,) = wait_until(settled, "the VM runs or is an error")
        assert state in {CloudState.RUNNING, CloudState.ERROR}
        (cloud_id,) = listed(hook)
        if state is CloudState.RUNNING:
            wait_until(lambda: world.disk_file(cloud_id, "boots"), "the VM has booted")
        else:
            assert "interrupted" in listed(hook)[cloud_id].message
        boots = world.disk_file(cloud_id, "boots")
        assert boots == ("boot\n" if state is CloudState.RUNNING else "")
        assert launched(hook, request) == [cloud_id], "an error is not mended by asking again"
        assert listed(hook)[cloud_id].state is state
        assert world.disk_file(cloud_id, "boots") == boots
    else:
        assert not listed(hook)


def test_a_launch_in_progress_is_not_judged(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    hook, request = world.hook(), world.request(COUNTING_BOOTS)
    with monkeypatch.context() as patched:
        patched.setattr(supervision, "spawn", dying(supervision.spawn, after=False))
        assert killed_while(lambda: hook.launch([request]))
    with monkeypatch.context() as patched:
        patched.setattr(local_store, "LOCK_PATIENCE", 0.0)
        # As another launch would hold it that has come as far.
        with world.store.locked(), pytest.raises(TransientError):
            list(hook.instances())
    wait_for_state(hook, launched(hook, request)[0], CloudState.RUNNING)


def test_several_processes_that_launch_one_token_boot_one_vm(world: LocalWorld) -> None:
    hook, request = world.hook(), world.request(COUNTING_BOOTS)
    (cloud_id,) = {outcome.cloud_id for outcome in in_processes(lambda: hook.launch([request])[0], 4)}
    assert cloud_id
    wait_until(lambda: world.disk_file(cloud_id, "boots"), "the VM has booted")
    assert world.disk_file(cloud_id, "boots") == "boot\n"


def test_a_vm_survives_the_death_of_all_that_launched_it(world: LocalWorld) -> None:
    hook, request = world.hook(), world.request()

    def launch_and_die() -> None:
        os.setsid()
        launched(hook, request)
        os.killpg(0, signal.SIGKILL)

    assert killed_while(launch_and_die)
    (cloud_id,) = listed(hook)
    wait_for_state(hook, cloud_id, CloudState.RUNNING)
    assert world.supervisor(cloud_id).parent != os.getpid()


def test_a_supervisor_that_does_not_come_up_is_an_error(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    hook, request = world.hook(), world.request()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (cloud_id,) = launched(hook, request)
    assert listed(hook)[cloud_id].state is CloudState.ERROR


def test_a_supervisor_that_cannot_be_started_leaves_the_outcome_open(
    world: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook, request = world.hook(), world.request()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/no/such/python")
        (outcome,) = hook.launch([request])
        assert isinstance(outcome.error, TransientError)
    (cloud_id,) = launched(hook, request)
    wait_for_state(hook, cloud_id, CloudState.RUNNING)


# What a VM is given.


def test_a_vm_sees_nothing_of_the_launchers_environment(world: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "treasure")
    monkeypatch.setenv("LANG", "C.UTF-8")
    user_data = '#!/bin/sh\ncp /proc/$$/environ "$HOME/environ"\necho yes > "$HOME/ready"\nexec sleep 600\n'
    (cloud_id,) = launched(world.hook(), world.request(user_data))
    wait_until(lambda: world.disk_file(cloud_id, "ready"), "the environment is written down")
    disk = world.machine(cloud_id).disk
    environment = dict(
        line.split("=", 1) for line in world.disk_file(cloud_id, "environ").removesuffix("\0").split("\0")
    )
    assert environment == {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(disk),
        "VMDIRAC_VM_DIRECTORY": str(disk),
    }


def test_a_vm_inherits_no_open_file_of_the_launcher(world: LocalWorld) -> None:
    with (world.root.parent / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        user_data = '#!/bin/sh\nls -l /proc/$$/fd > "$HOME/files"\npwd > "$HOME/ready"\nexec sleep 600\n'
        (cloud_id,) = launched(world.hook(), world.request(user_data))
        wait_until(lambda: world.disk_file(cloud_id, "ready"), "the open files are written down")
    machine = world.machine(cloud_id)
    assert world.disk_file(cloud_id, "ready").strip() == str(machine.disk)
    targets = {line.split(" -> ")[1] for line in world.disk_file(cloud_id, "files").splitlines() if "->" in line}
    # The shell itself has its script open, and at this moment the file that it wrote the list to.
    own = {str(machine.user_data), str(machine.disk / "files")}
    assert targets - own == {"/dev/null", str(machine.console)}


# Death of a VM.


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
