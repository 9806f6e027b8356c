"""Processes of this machine: found in /proc, signalled without ever hitting a stranger. Linux only.

A number does not name a process, for it is given to another one later; the number and the start time do.
Standard library only: the supervisor of a VM starts without Airflow.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MARK = "VMDIRAC_VM_DIRECTORY"
"""Environment variable of every process of a VM; its value, the VM's disk, says of which."""

KILL_PATIENCE = 2.0
"""Seconds to wait for killed processes to be gone: the kernel needs milliseconds."""

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class Process(NamedTuple):
    """:param started: clock ticks from the machine's boot to its start."""

    pid: int
    started: int
    parent: int = 0


def boot_id() -> str:
    """What changes with each boot of the machine: start times can be compared only under one."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def find_process(pid: int) -> Process | None:
    """The process that has this number now, zombies included."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses, which may itself hold blanks and parentheses.
    fields = stat.rpartition(b")")[2].split()
    return Process(pid, started=int(fields[19]), parent=int(fields[1]))


def all_processes() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (process := find_process(int(entry.name))):
            yield process


def descendants(pid: int) -> list[Process]:
    """Children, their children and so on, of a process that is a subreaper: all that ever came from it."""
    children: dict[int, list[Process]] = {}
    for process in all_processes():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    parents = [pid]
    while parents:
        generation = children.pop(parents.pop(), [])
        found += generation
        parents += [process.pid for process in generation]
    return found


def marked_processes(disk: Path) -> list[Process]:
    """Living processes, but for the caller, that were started with the mark of the VM with this disk."""
    mark = f"{MARK}={disk}".encode()
    found = []
    for process in all_processes():
        # Another user's environment cannot be read, and a zombie's is empty.
        with suppress(OSError):
            environment = (_PROC / str(process.pid) / "environ").read_bytes()
            if mark in environment.split(b"\0") and process.pid != os.getpid():
                found.append(process)
    return found


def signal_process(process: Process, number: signal.Signals) -> bool:
    """Send a signal to exactly this process; False if it is gone, its number another's, or it is not ours."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        # From here on the handle cannot come to mean another process, so what is checked is what is hit.
        current = find_process(process.pid)
        if current is None or current.started != process.started:
            return False
        signal.pidfd_send_signal(handle, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(handle)
    return True


def kill_marked(disk: Path) -> bool:
    """Kill what is left of a VM whose supervisor is dead; True if nothing is left."""
    deadline = time.monotonic() + KILL_PATIENCE
    while left := marked_processes(disk):
        for process in left:
            signal_process(process, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def become_subreaper() -> None:
    """From now on orphaned descendants become our children, whatever session they made for themselves."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """For a fresh child: be killed when ``parent`` dies, or end here if it is dead already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
