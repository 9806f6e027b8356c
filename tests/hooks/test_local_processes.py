"""Processes: who they are, and signals that hit nobody else."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hooks.local_world import is_alive
from tests.hooks.waiting import wait_until
from vmdirac.hooks import local_processes
from vmdirac.hooks.local_processes import (
    MARK,
    Process,
    boot_id,
    descendants,
    find_process,
    kill_marked,
    marked_processes,
    signal_process,
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "600"]) as process:
        yield process
        process.kill()


def marked_shell(disk: Path, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sh", "-c", script], env={MARK: str(disk), "PATH": os.environ["PATH"]})


def test_a_process_is_known_by_number_and_start(child: subprocess.Popen[bytes]) -> None:
    process = find_process(child.pid)
    assert process
    assert (process.pid, process.parent) == (child.pid, os.getpid())
    own = find_process(os.getpid())
    assert own
    assert process.started >= own.started
    assert find_process(child.pid) == process


def test_a_strange_name_does_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / ") 1 2 ("
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "600"]) as process:
        found = find_process(process.pid)
        process.kill()
    assert found
    assert found.parent == os.getpid()


def test_a_process_that_is_gone_is_not_found(child: subprocess.Popen[bytes]) -> None:
    process = find_process(child.pid)
    assert process
    child.kill()
    child.wait()
    assert find_process(child.pid) is None
    assert not signal_process(process, signal.SIGTERM)


def test_a_signal_hits_only_the_process_that_was_meant(child: subprocess.Popen[bytes]) -> None:
    process = find_process(child.pid)
    assert process
    earlier = process._replace(started=process.started - 1)
    assert not signal_process(earlier, signal.SIGKILL)
    assert child.poll() is None
    assert signal_process(process, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def test_no_process_has_the_number_nought() -> None:
    assert not signal_process(Process(0, 0), signal.SIGKILL)
    assert not signal_process(Process(-1, 0), signal.SIGKILL)


def test_descendants_are_all_generations(tmp_path: Path) -> None:
    with marked_shell(tmp_path, "sh -c 'sleep 600 & wait' & setsid sleep 600 & wait") as shell:
        found: list[Process] = []

        def three_run() -> bool:
            found[:] = descendants(shell.pid)
            return len(found) == 3

        wait_until(three_run, "all three run")
        assert shell.pid not in {process.pid for process in found}
        assert not {os.getpid(), 1} & {process.pid for process in found}
        assert {process.parent for process in found} > {shell.pid}
        assert kill_marked(tmp_path)
        assert not any(is_alive(process.pid) for process in found)


def test_a_mark_is_of_one_vm(tmp_path: Path) -> None:
    disk, other = tmp_path / "vm-1", tmp_path / "vm-10"
    with marked_shell(disk, "exec sleep 600") as ours, marked_shell(other, "exec sleep 600") as theirs:
        assert [process.pid for process in marked_processes(disk)] == [ours.pid]
        assert kill_marked(disk)
        assert ours.wait() == -signal.SIGKILL
        assert theirs.poll() is None
        assert kill_marked(disk), "nothing is left to kill"
        assert kill_marked(other)


def test_the_caller_does_not_kill_itself(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from vmdirac.hooks.local_processes import kill_marked;"
        f"print(kill_marked(Path({str(tmp_path)!r})))"
    )
    plugins = str(Path(local_processes.__file__).parents[2])
    environment = {MARK: str(tmp_path), "PYTHONPATH": plugins}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout == b"True\n"


def test_what_resists_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_processes, "KILL_PATIENCE", 0.0)
    with marked_shell(tmp_path, "exec sleep 600") as process:
        with monkeypatch.context() as patched:
            patched.setattr(local_processes, "signal_process", lambda *_: False)
            assert not kill_marked(tmp_path)
        process.kill()


def test_the_boot_has_an_id() -> None:
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36
