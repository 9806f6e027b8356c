"""All processes of one demo, found by what is in their environment, whoever their parents are now."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vmdirac.hooks.local_processes import MARK as VM_MARK
from vmdirac.hooks.local_processes import Process, all_processes, signal_process

MARK = "VMDIRAC_DEMO_HOME"
"""Set for everything that the demo starts. Not AIRFLOW_HOME: users set that in a shell of theirs, to look around."""

KILL_PATIENCE = 10.0
"""Seconds to wait for killed processes to be gone. The kernel needs milliseconds, an overloaded machine more."""


def of_home(home: Path) -> list[Process]:
    """Airflow's processes and those of the VMs, but for zombies and the caller."""
    return [process for process in all_processes() if process.pid != os.getpid() and _belongs(process, home)]


def wait_until_gone(home: Path, seconds: float, hurry: Callable[[], bool] = lambda: False) -> list[Process]:
    """Give processes that are ending the time for it; those that are left after ``seconds``, or when in a hurry."""
    deadline = time.monotonic() + seconds
    while (left := of_home(home)) and time.monotonic() < deadline and not hurry():
        time.sleep(0.1)
    return left


def kill(home: Path) -> list[Process]:
    """Kill them all, those included that appear meanwhile; those that even so are still there."""
    deadline = time.monotonic() + KILL_PATIENCE
    while left := of_home(home):
        for process in left:
            signal_process(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _belongs(process: Process, home: Path) -> bool:
    # Another user's environment can't be read, and an ended process has none.
    with suppress(OSError):
        for variable in Path("/proc", str(process.pid), "environ").read_bytes().split(b"\0"):
            name, _, value = variable.partition(b"=")
            if name == MARK.encode() and value == os.fsencode(home):
                return True
            if name == VM_MARK.encode() and value.startswith(os.fsencode(home) + b"/"):
                return True
    return False
