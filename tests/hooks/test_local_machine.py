"""The directory of one VM."""

import fcntl
import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hooks.children import in_processes
from vmdirac.hooks import local_machine
from vmdirac.hooks.local_machine import ERROR, PENDING, RUNNING, STOPPED, Machine, MachineState, remove_tree


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path, "vm-1")


def make_machine(root: Path, cloud_id: str) -> Machine:
    machine = Machine(root / "machines" / cloud_id)
    machine.disk.mkdir(parents=True)
    for file in (machine.record, machine.user_data, machine.lock, machine.console):
        file.write_text(f"{file.name} of {cloud_id}")
    return machine


@pytest.fixture
def everybodys_directory() -> Iterator[Path]:
    """A directory that an ordinary user can work in, too."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        yield Path(directory)


def as_ordinary_user() -> None:
    """For a child process: nothing is forbidden to root, so a test of what is forbidden must not be root."""
    if os.geteuid() == 0:
        os.setuid(pwd.getpwnam("nobody").pw_uid)


def test_a_state_is_read_as_it_was_written(machine: Machine) -> None:
    assert machine.read_state() is None
    state = MachineState(STOPPED, "powered off: é", 12, 34, "boot")
    machine.write_state(MachineState(RUNNING))
    machine.write_state(state)
    assert machine.read_state() == state


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "running", "mood": "good"}', '"running"'])
def test_a_state_that_a_power_cut_broke_is_none(machine: Machine, text: str) -> None:
    (machine.directory / "state.json").write_text(text)
    assert machine.read_state() is None


def test_what_has_ended() -> None:
    assert {name for name in (PENDING, RUNNING, STOPPED, ERROR) if MachineState(name).ended} == {STOPPED, ERROR}


def test_a_vm_has_one_owner(machine: Machine) -> None:
    with machine.owning() as owner, machine.owning() as second:
        assert (owner, second) == (True, False)
    with machine.owning() as owner:
        assert owner


def test_a_vm_has_one_owner_among_processes(machine: Machine) -> None:
    def own() -> bool:
        # Never given back: the kernel takes it from the process when it ends.
        return machine.owning().__enter__()

    with machine.owning():
        assert in_processes(own, 2) == [False, False]
    assert in_processes(own, 1) == [True]
    with machine.owning() as owner:
        assert owner


def test_a_vm_that_is_gone_cannot_be_owned(machine: Machine) -> None:
    machine.archive()
    with pytest.raises(FileNotFoundError), machine.owning():
        pytest.fail("owned")


def test_a_vm_archived_at_the_wrong_moment_cannot_be_owned(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    take = fcntl.flock

    def archived_meanwhile(descriptor: int, operation: int) -> None:
        machine.archive()
        take(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", archived_meanwhile)
    with pytest.raises(FileNotFoundError), machine.owning():
        pytest.fail("owned")


def test_an_archive_keeps_the_evidence_only(machine: Machine, tmp_path: Path) -> None:
    (machine.disk / "sub").mkdir()
    (machine.disk / "sub" / "file").write_text("")
    machine.ask_termination()
    assert machine.termination_asked()
    machine.archive()
    assert not machine.directory.exists()
    kept = {path.name for path in (tmp_path / "finished" / "vm-1").iterdir()}
    assert kept == {"vm.json", "console.log", "lock", "terminate"}


def test_an_archive_takes_the_place_of_what_is_left_of_an_older_one(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "finished" / "vm-1" / "disk").mkdir(parents=True)
    machine.archive()
    assert (tmp_path / "finished" / "vm-1" / "vm.json").read_text() == "vm.json of vm-1"


def test_only_the_last_ones_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_machine, "FINISHED_KEPT", 3)
    for number in range(5):
        make_machine(tmp_path, f"vm-{number}").archive()
        os.utime(tmp_path / "finished" / f"vm-{number}", (number, number))
    last = make_machine(tmp_path, "vm-last")
    last.archive()
    assert {path.name for path in (tmp_path / "finished").iterdir()} == {"vm-3", "vm-4", "vm-last"}


def test_a_read_only_tree_is_removed_and_what_it_points_to_is_not(everybodys_directory: Path) -> None:
    def leave_and_remove() -> bool:
        as_ordinary_user()
        outside = everybodys_directory / "outside"
        outside.mkdir()
        (outside / "file").write_text("")
        outside.chmod(0o500)
        tree = everybodys_directory / "tree"
        (tree / "cache" / "package").mkdir(parents=True)
        (tree / "cache" / "package" / "file").write_text("")
        (tree / "cache" / "link").symlink_to(outside)
        (tree / "cache" / "package").chmod(0o500)
        (tree / "cache").chmod(0o000)
        remove_tree(tree)
        return not tree.exists() and (outside.stat().st_mode & 0o777) == 0o500 and (outside / "file").exists()

    assert in_processes(leave_and_remove, 1) == [True]


def test_removing_what_is_not_there_is_done(tmp_path: Path) -> None:
    remove_tree(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())
