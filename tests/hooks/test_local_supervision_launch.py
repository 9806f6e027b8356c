"""How a VM is started, and what is left when who launches it dies, at every step of it."""

import os
import signal
import sys
from types import ModuleType

import pytest

from tests.hooks.children import dying, in_processes, killed_while
from tests.hooks.fleet import launched, listed, wait_for_state
from tests.hooks.local_world import LocalWorld
from tests.hooks.waiting import wait_until
from vmdirac.hooks import local_store
from vmdirac.hooks import local_supervision as supervision
from vmdirac.hooks.local_store import LocalStore
from vmdirac.model.cloud import CloudState
from vmdirac.model.errors import TransientError

pytestmark = pytest.mark.slow

COUNTING_BOOTS = '#!/bin/sh\necho boot >> "$HOME/boots"\nexec sleep 600\n'

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
