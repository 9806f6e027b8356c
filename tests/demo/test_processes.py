"""Finding and ending the processes of one demo."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo import processes

Start = Callable[[dict[str, str]], int]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that would run for long, with this environment, in a session of its own."""
    started = []

    def with_environment(environment: dict[str, str]) -> int:
        process = subprocess.Popen(["/bin/sleep", "600"], env=environment, start_new_session=True)
        started.append(process)
        return process.pid

    yield with_environment
    for process in started:
        process.kill()
        process.wait()


def found(home: Path) -> set[int]:
    return {process.pid for process in processes.of_home(home)}


def test_processes_of_the_home_and_of_vms_below_it_are_found_and_no_others(tmp_path: Path, start: Start) -> None:
    home = tmp_path / "home"
    component = start({"VMDIRAC_DEMO_HOME": str(home)})
    vm = start({"PATH": "/bin", "VMDIRAC_VM_DIRECTORY": str(home / "vmdirac_local" / "vm-1" / "disk")})
    start({"VMDIRAC_DEMO_HOME": str(tmp_path / "home2")})
    start({"VMDIRAC_VM_DIRECTORY": str(tmp_path / "home2" / "vm-1")})
    start({"AIRFLOW_HOME": str(home)})  # a user's shell that looks around in the demo
    start({"NOTE": f"VMDIRAC_DEMO_HOME={home}"})

    assert found(home) == {component, vm}


def test_a_home_of_nobody_has_no_processes(tmp_path: Path) -> None:
    assert found(tmp_path) == set()


def test_the_caller_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_belongs", lambda process, _home: process.pid == os.getpid())

    assert found(tmp_path) == set()


def test_killing_ends_them_all(tmp_path: Path, start: Start) -> None:
    mine = {start({"VMDIRAC_DEMO_HOME": str(tmp_path)}) for _ in range(3)}
    other = start({"VMDIRAC_DEMO_HOME": str(tmp_path / "other")})

    assert found(tmp_path) == mine
    assert processes.kill(tmp_path) == []

    assert found(tmp_path) == set()
    assert found(tmp_path / "other") == {other}


def test_what_does_not_end_is_left(tmp_path: Path, start: Start) -> None:
    pid = start({"VMDIRAC_DEMO_HOME": str(tmp_path)})

    assert [each.pid for each in processes.wait_until_gone(tmp_path, 0)] == [pid]
    assert [each.pid for each in processes.wait_until_gone(tmp_path, 600, hurry=lambda: True)] == [pid]


def test_nobody_is_waited_for_when_all_are_gone(tmp_path: Path) -> None:
    assert processes.wait_until_gone(tmp_path, 600) == []
