"""The living loop under real deaths: a VM's, the scheduler's and the API server's, each by SIGKILL in the middle.

One scenario, not three tests: every start of Airflow costs half a minute, and a system that survived one death must
survive the next one too.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import processes
from demo.progress import Progress, Snapshot
from demo.settings import CHECKOUT
from vmdirac.hooks.local_processes import MARK as VM_MARK

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1500)]

PATIENCE_S = 400
"""For one stretch of the demo, which takes about a minute on a good machine."""

FAREWELL_S = 120
"""And for it to end after that."""


@contextmanager
def demo(home: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A running ``make demo-check`` with a home of its own."""
    command = [sys.executable, "-m", "demo", "check", "--home", str(home), "--deadline", str(PATIENCE_S)]
    with log.open("wb") as output:
        running = subprocess.Popen(command, cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield running
        finally:
            running.terminate()
            running.wait(60)


def wait_for(running: subprocess.Popen[bytes], log: Path, home: Path, condition: Callable[[Snapshot], bool]) -> None:
    """Until the demo's jobs and VMs are as wanted."""
    progress = Progress(home / "vmdirac.db")
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert running.poll() is None, f"the demo ended early:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"the demo hangs:\n{log.read_text()}"
        # Before its tables are made there is nothing to be asked.
        if progress.unfinished() and condition(progress.snapshot()):
            progress.close()
            return
        time.sleep(0.2)


def title(pid: int) -> str:
    """A process's command line; some of Airflow's components have written a title over theirs."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").replace("_", "-")


def component(home: Path, name: str) -> int:
    """The process id of one of Airflow's components."""
    found = [
        process.pid
        for process in processes.of_home(home)
        if f"airflow {name}" in title(process.pid) and os.getsid(process.pid) == process.pid
    ]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def a_vm(home: Path) -> int:
    """The process group of a VM that runs."""
    for process in processes.of_home(home):
        mark = f"{VM_MARK}={home}/".encode()
        if mark in Path(f"/proc/{process.pid}/environ").read_bytes():
            return os.getpgid(process.pid)
    raise AssertionError("no VM runs")


def test_the_same_forty_jobs_are_done_and_no_vm_is_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    logs = [tmp_path / f"demo-{number}.log" for number in range(3)]

    with demo(home, logs[0]) as running:
        wait_for(running, logs[0], home, lambda seen: seen.done >= 3)
        os.killpg(a_vm(home), signal.SIGKILL)
        wait_for(running, logs[0], home, lambda seen: seen.done >= 8)
        os.kill(component(home, "scheduler"), signal.SIGKILL)
        assert running.wait(PATIENCE_S + FAREWELL_S) == 1
    said = logs[0].read_text()
    assert "Airflow's scheduler ended unexpectedly" in said
    assert "it goes on where it stopped" in said
    assert processes.of_home(home) == []
    before = Progress(home / "vmdirac.db").snapshot()
    assert before.all_jobs == 40

    with demo(home, logs[1]) as running:
        wait_for(running, logs[1], home, lambda seen: seen.done >= before.done + 5)
        os.kill(component(home, "api-server"), signal.SIGKILL)
        assert running.wait(PATIENCE_S + FAREWELL_S) == 1
    assert "Airflow's api-server ended unexpectedly" in logs[1].read_text()
    assert processes.of_home(home) == []

    with demo(home, logs[2]) as running:
        assert running.wait(PATIENCE_S + FAREWELL_S) == 0, logs[2].read_text()
    verdict = json.loads(logs[2].read_text().splitlines()[-1])
    assert verdict["jobs_done"] == 40
    assert verdict["instances_started"] == verdict["instances_halted"] > 0
    assert (verdict["failed_dag_runs"], verdict["leftover_processes"]) == (0, 0)
    assert processes.of_home(home) == []
    after = Progress(home / "vmdirac.db").snapshot()
    assert (after.all_jobs, after.done, after.open_vms) == (40, 40, 0), "the same jobs, no others"
