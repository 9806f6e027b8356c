"""Starting, watching and stopping the real processes of the tests."""

import contextlib
import os
import pwd
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tests.servers import guard


class ServerError(Exception):
    """A server ended, or didn't become ready; the message ends with the last lines of its log."""


class GuardedProcess:
    """A command that runs under the guard (guard.py) from construction until `stop` or our own end.

    `log` gets the output of command and guard. `user` is whom to run it as (None: whoever runs the tests). At
    the end it gets `stop_signal`, and `grace` seconds later it and all its descendants are killed; `remove`
    is then deleted.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        grace: float = 30,
        remove: Path | None = None,
    ) -> None:
        self.log = log
        self._grace = grace
        self._returncode: int | None = None
        options = [f"--parent={os.getpid()}", f"--stop-signal={int(stop_signal)}", f"--grace={grace}"]
        if user:
            options.append(f"--user={user}")
        if remove:
            options.append(f"--remove={remove}")
        with log.open("ab") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", guard.__file__, *options, "--", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                bufsize=0,
                cwd=cwd,
                env=environment,
                start_new_session=True,  # so that Ctrl-C reaches pytest alone, which then stops us in order
            )
        assert self._guard.stdin
        assert self._guard.stdout
        self._ask = self._guard.stdin  # closed, it asks the guard to end all
        self._told = self._guard.stdout  # two lines: the pid, then the exit code
        line = self._told.readline()
        if not line:
            self.stop()
            raise self.failure(f"{command[0]} could not be started")
        self.pid = int(line)

    @property
    def returncode(self) -> int | None:
        """The command's exit code, negative for a signal; None while it runs."""
        if self._returncode is None and select.select([self._told], [], [], 0)[0]:
            self._returncode = int(self._told.readline() or -signal.SIGKILL)
        return self._returncode

    def family(self) -> list[int]:
        """Pids of the guard, the command and all that they started and that still lives."""
        return [self._guard.pid, *guard.descendants(self._guard.pid)] if self._guard.returncode is None else []

    def wait_until(self, ready: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Wait until `ready()`, which is asked again and again, is true.

        Raises:
            ServerError: the command ended first, or `seconds` went by.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.returncode is not None:
                raise self.failure(f"{what} ended with exit code {self.returncode}")
            if time.monotonic() > deadline:
                raise self.failure(f"{what} isn't ready after {seconds:.0f} s")
            time.sleep(0.05)

    def wait_for_exit(self, *, seconds: float) -> int:
        """Wait until the command ends by itself or was killed; returns its exit code.

        Raises:
            ServerError: it still runs after `seconds`.
        """
        if self.returncode is None:
            select.select([self._told], [], [], seconds)
        code = self.returncode
        if code is None:
            raise self.failure(f"still runs after {seconds:.0f} s")
        return code

    def failure(self, what: str) -> ServerError:
        """The error to raise, with the end of the log."""
        return ServerError(f"{what}\n{tail(self.log)}")

    def ask_to_stop(self) -> None:
        """Begin the end without waiting for it: `stop` waits."""
        self._ask.close()

    def stop(self) -> None:
        """End the command and everything it started; returns when all of it is gone. May be called again."""
        self.ask_to_stop()
        self._guard.wait(timeout=self._grace + 60)
        self._returncode = self.returncode  # the pipe that it comes from is closed next
        self._told.close()


def tail(log: Path, lines: int = 60) -> str:
    """The end of a log, to be shown with a failure."""
    if not log.exists():
        return f"({log}: no log)"
    text = log.read_text(errors="replace").splitlines()
    return "\n".join([f"--- {log} ---", *text[-lines:]])


def still_alive(pids: Iterable[int], *, seconds: float) -> list[int]:
    """Those of the processes that haven't ended after `seconds`; returns as soon as there are none."""
    deadline = time.monotonic() + seconds
    left = list(pids)
    while left := [pid for pid in left if _is_alive(pid)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return left


def _is_alive(pid: int) -> bool:
    try:
        return guard.state_and_parent(pid)[0] != "Z"
    except OSError:
        return False


def free_port() -> int:
    """A loopback port that nobody listens on.

    Taken from below the range out of which the kernel gives ports to outgoing connections: one of those could
    grab the port before a server that takes seconds to start has bound it.
    """
    candidates = list(range(15000, 32000))
    random.shuffle(candidates)
    for port in candidates:
        with socket.socket() as probe:
            # As servers do: a port that only has closed connections lingering is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise OSError("no free port on the loopback interface")


def unprivileged_user(*candidates: str) -> str | None:
    """Whom to run a server as that refuses root: the first that exists; None if we aren't root anyway."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in (*candidates, "nobody") if name in known)
