"""Guards one command of the tests: whatever happens to the test run, nothing of the command stays behind.

A program of its own, standard library only. It starts the command in a new session and writes to standard
output the command's pid, and the exit code once it ends. It lives on until its standard input closes, it gets
SIGTERM, or the process that started it is gone, kill -9 included. Then it asks the command to stop, kills
whatever is left of its descendants, and removes its directory. Linux only.

The guard adopts orphans (as init does), so it also finds what the command started and abandoned: the worker
processes of a scheduler that was killed, or daemons that left its process group.
"""

import argparse
import contextlib
import ctypes
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None, use_errno=True)


def state_and_parent(pid: int) -> tuple[str, int]:
    """State letter (Z: zombie) and parent of a process.

    Raises:
        OSError: there is no such process.
    """
    # The name before it may contain blanks and parentheses; what follows its last ")" doesn't.
    state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    return state, int(parent)


def descendants(ancestor: int) -> list[int]:
    """Pids of all living processes below `ancestor`, zombies left out."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # ended while we looked
            state, parent = state_and_parent(int(entry.name))
            if state != "Z":
                children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    todo = [ancestor]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


class Guard:
    """The guarded command and its end."""

    def __init__(self, command: list[str], user: str | None) -> None:
        # Orphans come to us from here on, and each ended child wakes us up.
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.wakeup, write_end = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda _number, _frame: None)
        # Should the guard itself be killed, the kernel takes the command along. Set after the change of user,
        # which would clear it (subprocess calls preexec_fn last).
        # Kept: a Popen object that is dropped waits for its process, and we would miss the exit code.
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),  # noqa: PLW1509
            user=user,
            group=pwd.getpwnam(user).pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        self.main = self._popen.pid
        self.main_runs = True
        tell(self.main)

    def wait_for_end(self, parent: int) -> None:
        """Return when the command is to be stopped."""
        while True:
            ready, _, _ = select.select([0, parent, self.wakeup], [], [])
            if parent in ready or (0 in ready and not os.read(0, 100)):
                return
            if self.wakeup in ready and signal.SIGTERM in self.reap():
                return

    def reap(self) -> bytes:
        """Bury the children that ended, tell the command's exit code; returns the signals received."""
        signals = b""
        with contextlib.suppress(BlockingIOError):
            signals = os.read(self.wakeup, 1000)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid == self.main:
                    self.main_runs = False
                    tell(os.waitstatus_to_exitcode(status))
        return signals

    def stop(self, stop_signal: int, grace: float) -> None:
        """Ask the command to end, wait up to `grace` seconds, then kill all that is left."""
        deadline = time.monotonic() + grace
        if self.main_runs:
            os.kill(self.main, stop_signal)
        while self.main_runs and time.monotonic() < deadline:
            select.select([self.wakeup], [], [], deadline - time.monotonic())
            self.reap()
        while left := descendants(os.getpid()):  # again: they may have forked while we killed
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            select.select([self.wakeup], [], [], 0.05)
            self.reap()


def tell(number: int) -> None:
    """Write a line for the process that started us, if it still lives."""
    with contextlib.suppress(OSError):
        os.write(1, f"{number}\n".encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parent", type=int, required=True, help="pid of the process whose end ends us")
    parser.add_argument("--user", help="whom to run the command as")
    parser.add_argument("--stop-signal", type=int, required=True)
    parser.add_argument("--grace", type=float, required=True, help="seconds from the stop signal to SIGKILL")
    parser.add_argument("--remove", type=Path, help="directory to remove at the end")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        parent = os.pidfd_open(options.parent)
        if os.getppid() != options.parent:
            return  # it died before we looked, and its pid is somebody else's
        guard = Guard(options.command, options.user)
        try:
            guard.wait_for_end(parent)
        finally:
            guard.stop(options.stop_signal, options.grace)
    finally:
        if options.remove:
            shutil.rmtree(options.remove, ignore_errors=True)


if __name__ == "__main__":
    main()
