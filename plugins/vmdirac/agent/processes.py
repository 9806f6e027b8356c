"""Processes as the kernel shows them."""

import contextlib
import os
import signal
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Process(NamedTuple):
    """A process as /proc shows it. ``cpu``: seconds used by it and by the children that it waited for."""

    parent: int
    session: int
    alive: bool
    cpu: float


def processes() -> Dict[int, Process]:
    """All processes of this VM by their pid."""
    table = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile
            with open(f"/proc/{name}/stat", "rb") as file:
                text = file.read()
            values = text[text.rindex(b")") + 2 :].split()  # the name before it may contain anything
            cpu = sum(map(int, values[11:15])) / CLOCK_TICKS
            table[int(name)] = Process(int(values[1]), int(values[3]), values[0] not in b"ZX", cpu)
    return table


def processes_of(uid: int) -> List[int]:
    """All processes of a user that live, also those that run a program of somebody else's for it."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # gone meanwhile
            with open(f"/proc/{name}/status", "rb") as file:
                lines = [line.split() for line in file]
            values = {words[0]: words[1:] for words in lines if words}
            if str(uid).encode() in values[b"Uid:"] and values[b"State:"][0] not in b"ZX":
                found.append(int(name))
    return found


def kill_all_of(uid: int, patience: float) -> bool:
    """Kill all that a user may send signals to, in one call of the kernel, which no process escapes by forking.

    A child that is this user does it, for at most this many seconds; whether it did, for it can be stopped or killed
    by those that it is to kill. Raises OSError.
    """
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(uid, uid, uid)
            with contextlib.suppress(ProcessLookupError):  # there are none
                os.kill(-1, signal.SIGKILL)
            os._exit(0)
        finally:
            os._exit(1)
    until = time.monotonic() + patience
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


def add_descendants(owner: Dict[int, Any], table: Dict[int, Process]) -> None:
    """Give every process below an owned one the same owner, whatever its session."""
    found = list(owner)
    while found:
        found = [pid for pid, process in table.items() if pid not in owner and process.parent in owner]
        owner.update({pid: owner[table[pid].parent] for pid in found})


def kill(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def load_prctl() -> Callable[[int, int], int]:
    """The C library's prctl with one argument; where there is none, a stand-in that does nothing."""
    try:
        import ctypes

        function = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return lambda *_: -1
    function.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    return lambda option, value: int(function(option, value, 0, 0, 0))


prctl = load_prctl()
