"""What ends the jobs if the agent cannot."""

import contextlib
import os
import signal
import time
from typing import Set

from vmdirac.agent.processes import add_descendants, kill, processes

PAUSE = 0.05  # seconds between two looks at what still lives


class Keeper:
    """A process that lives as long as the agent and, if the agent is killed, kills what is left of its jobs.

    PR_SET_PDEATHSIG reaches only a job's first process. The keeper's session is its own, so that it survives a kill of
    the agent's process group. It goes on in Python after the fork, so it must be made before any thread.
    """

    def __init__(self) -> None:
        reader, self._pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)
                os.setsid()
                os.close(self._pipe)
                self._keep(reader)
            finally:
                os._exit(0)
        os.close(reader)

    def tell(self, session: int, runs: bool) -> None:
        """Say that a job runs in this session, or that nothing does any more."""
        with contextlib.suppress(BrokenPipeError):  # somebody killed it; the jobs go on
            os.write(self._pipe, f"{'+' if runs else '-'}{session}\n".encode())

    @staticmethod
    def _keep(reader: int) -> None:
        sessions: Set[int] = set()
        with os.fdopen(reader) as lines:
            for line in lines:  # ends when the agent does
                (sessions.add if line[0] == "+" else sessions.discard)(int(line[1:]))
        alive = bool(sessions)
        while alive:
            table = processes()
            owner = {pid: 0 for pid, process in table.items() if process.session in sessions}
            add_descendants(owner, table)
            kill(owner, signal.SIGKILL)
            alive = any(table[pid].alive for pid in owner)
            time.sleep(PAUSE)
