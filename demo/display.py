"""What the user sees in the terminal."""

from __future__ import annotations

import shutil
from typing import TextIO

from demo.progress import Snapshot
from vmdirac.model.states import InstanceStatus, JobStatus

BAR_WIDTH = 10


def status(snapshot: Snapshot) -> str:
    """How far the demo is, in one line."""
    filled = BAR_WIDTH * snapshot.done // snapshot.all_jobs if snapshot.all_jobs else 0
    jobs = [f"{snapshot.done}/{snapshot.all_jobs} jobs done"]
    jobs += [
        f"{snapshot.jobs[state]} {state}"
        for state in JobStatus
        if state is not JobStatus.DONE and snapshot.jobs.get(state)
    ]
    vms = [f"{snapshot.vms[state]} {state}" for state in InstanceStatus if snapshot.vms.get(state)]
    return f"[{'#' * filled:.<{BAR_WIDTH}}] {', '.join(jobs)} | VMs: {', '.join(vms) or 'none yet'}"


class Display:
    """Lines on ``stream``; where that is a terminal, the progress is one line that is written over and over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._redraws = stream.isatty()
        self._line = ""

    def say(self, text: str) -> None:
        """Write something that stays."""
        if self._redraws and self._line:
            self._stream.write("\r\x1b[K")
            self._line = ""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def show(self, text: str, seconds: float) -> None:
        """Show how far we are.

        :param seconds: since the beginning; where lines can't be redrawn, not reason enough for a new one.
        """
        if self._redraws:
            self._line = f"{seconds:4.0f} s {text}"[: shutil.get_terminal_size().columns - 1]
            self._stream.write(f"\r{self._line}\x1b[K")
        elif text != self._line:
            self._line = text
            self._stream.write(f"{seconds:4.0f} s {text}\n")
        self._stream.flush()
