"""The guard: nothing of a command stays, however the command, its starter or the guard itself ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers.airflow_environment import CHECKOUT
from tests.servers.process import GuardedProcess, ServerError, still_alive

# A command that leaves a daemon in a session of its own behind, and then goes on.
DAEMON = "(setsid sleep 1000 &) ; : > ready ; "


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """What the guarded command works in, and the guard removes."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def started(tmp_path: Path, directory: Path) -> Iterator[list[GuardedProcess]]:
    """Collects processes to be stopped whatever the test does."""
    processes: list[GuardedProcess] = []
    yield processes
    for process in processes:
        process.stop()


def shell(script: str, directory: Path, **options: Any) -> GuardedProcess:
    """Run a shell script under the guard and wait for its file "ready"."""
    process = GuardedProcess(
        ["/bin/sh", "-c", script], log=directory.parent / "log", cwd=directory, remove=directory, **options
    )
    process.wait_until((directory / "ready").exists, seconds=60, what="the script")
    return process


def test_stop_ends_the_command_its_daemons_and_the_guard(directory: Path, started: list[GuardedProcess]) -> None:
    process = shell(DAEMON + "exec sleep 1000", directory)
    started.append(process)
    family = process.family()
    assert len(family) == 3  # guard, command, daemon
    assert process.returncode is None

    process.stop()

    assert still_alive(family, seconds=0) == []
    assert process.family() == []
    assert process.returncode == -signal.SIGTERM
    assert not directory.exists()


def test_the_command_may_end_in_its_own_way(directory: Path, started: list[GuardedProcess]) -> None:
    process = shell(
        "trap 'echo bye; exit 5' INT; : > ready; while :; do sleep 0.1; done", directory, stop_signal=signal.SIGINT
    )
    started.append(process)
    process.stop()
    assert process.returncode == 5
    assert process.log.read_text() == "bye\n"


def test_a_command_that_does_not_listen_is_killed(directory: Path, started: list[GuardedProcess]) -> None:
    process = shell("trap '' TERM; : > ready; while :; do sleep 0.1; done", directory, grace=0.3)
    started.append(process)
    process.stop()
    assert process.returncode == -signal.SIGKILL
    assert process.log.read_text() == ""  # the guard did it, it didn't fail


def test_what_a_killed_command_leaves_lives_until_stop(directory: Path, started: list[GuardedProcess]) -> None:
    process = shell(DAEMON + "exec sleep 1000", directory)
    started.append(process)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait_for_exit(seconds=60) == -signal.SIGKILL
    assert process.wait_for_exit(seconds=60) == -signal.SIGKILL  # remembered

    guard, daemon = process.family()
    assert still_alive([daemon], seconds=0) == [daemon]

    process.stop()
    assert still_alive([guard, daemon], seconds=0) == []


STARTER = """
import json, os, signal, sys
from pathlib import Path
from tests.servers.process import GuardedProcess
directory = Path(sys.argv[1])
process = GuardedProcess(["/bin/sh", "-c", sys.argv[2]], log=directory.parent / "log", cwd=directory,
                         remove=directory)
process.wait_until((directory / "ready").exists, seconds=60, what="the script")
# Has all our open files, so the guard's standard input stays open when only we are killed.
fork = os.fork() or signal.pause()
print(json.dumps({"family": process.family(), "fork": fork}), flush=True)
signal.pause()
"""


def test_kill_9_of_the_starter_ends_all_even_if_a_fork_of_it_lives_on(directory: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(directory), DAEMON + "exec sleep 1000"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        process.kill()
    try:
        assert len(told["family"]) == 3
        assert still_alive(told["family"], seconds=60) == []
        assert not directory.exists()
    finally:
        os.kill(told["fork"], signal.SIGKILL)


def test_kill_9_of_the_guard_ends_the_command(directory: Path, started: list[GuardedProcess]) -> None:
    process = shell(": > ready; exec sleep 1000", directory)
    started.append(process)
    guard, command = process.family()
    os.kill(guard, signal.SIGKILL)
    assert still_alive([command], seconds=60) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_command_runs_as_the_user_asked_for_and_still_dies_with_the_guard(
    tmp_path: Path, started: list[GuardedProcess]
) -> None:
    process = GuardedProcess(
        ["/bin/sh", "-c", "id -un; id -Gn; exec sleep 1000"], log=tmp_path / "log", cwd=tmp_path, user="nobody"
    )
    started.append(process)
    process.wait_until(lambda: process.log.read_text().count("\n") == 2, seconds=60, what="the script")
    assert process.log.read_text() == "nobody\nnogroup\n"
    guard, command = process.family()
    os.kill(guard, signal.SIGKILL)
    assert still_alive([command], seconds=60) == []


def test_a_failure_shows_the_log(directory: Path, started: list[GuardedProcess]) -> None:
    script = ["/bin/sh", "-c", "echo the disk is full; exit 3"]
    process = GuardedProcess(script, log=directory.parent / "log", cwd=directory)
    started.append(process)
    with pytest.raises(ServerError, match=r"(?s)the base ended with exit code 3.*the disk is full"):
        process.wait_until(lambda: False, seconds=60, what="the base")


def test_a_command_that_is_not_ready_in_time(directory: Path, started: list[GuardedProcess]) -> None:
    process = GuardedProcess(["/bin/sleep", "1000"], log=directory.parent / "log", cwd=directory)
    started.append(process)
    with pytest.raises(ServerError, match="the base isn't ready after 0 s"):
        process.wait_until(lambda: False, seconds=0, what="the base")
    with pytest.raises(ServerError, match="still runs after 0 s"):
        process.wait_for_exit(seconds=0)


def test_a_command_that_does_not_exist(directory: Path) -> None:
    with pytest.raises(ServerError, match=r"(?s)/no/such/program could not be started.*FileNotFoundError"):
        GuardedProcess(["/no/such/program"], log=directory.parent / "log", cwd=directory, remove=directory)
    assert not directory.exists()
