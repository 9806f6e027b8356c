"""A pilot that is not ours takes the jobs on this VM: they are counted, and it can be kept from taking more."""

import contextlib
import os
from typing import List, Optional

from vmdirac.agent.log import Log

SETTLING = 120.0
"""Seconds after which a pilot has seen its stop file. Before that it may be about to take a job."""

MARK = "vmdirac: this machine is being drained\n"
MOST_JOBS = 65535


def count_jobs(location: str) -> int:
    """How many job descriptions (``*.jdl``) are in a directory and one level below, as VMDIRAC counted them.

    Raises OSError if what is there cannot be seen. A directory that is not there has none.
    """
    jobs = 0
    for folder in [location, *_folders(location)]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # the pilot tidied up meanwhile
            jobs += sum(name.endswith(".jdl") for name in os.listdir(folder))
    return min(jobs, MOST_JOBS)


def _folders(location: str) -> List[str]:
    with contextlib.suppress(FileNotFoundError):
        return [entry.path for entry in os.scandir(location) if entry.is_dir(follow_symlinks=False)]
    return []


def _write_new(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o644), "w") as file:
        file.write(MARK)


class ForeignPilot:
    """The pilot whose jobs leave files in ``location``; ``stop_file`` may be empty: then it cannot be stopped."""

    def __init__(self, location: str, stop_file: str, log: Log) -> None:
        self._location, self._stop_file, self._log = location, stop_file, log
        self._last = 0
        self._stopped_at: Optional[float] = None

    def jobs(self) -> int:
        """How many jobs it has. While they cannot be seen it has those that it had, and one at least."""
        try:
            self._last = count_jobs(self._location)
        except OSError as error:
            self._log("the jobs in %s cannot be counted: %s", self._location, error)
            self._last = max(1, self._last)
        return self._last

    def keep_from_jobs(self, now: float) -> None:
        """See to it that its stop file is there."""
        try:
            if self._stop_file and not os.path.lexists(self._stop_file):
                _write_new(self._stop_file)
        except OSError as error:
            self._log("the pilot's stop file %s cannot be written: %s", self._stop_file, error)
            self._stopped_at = None
        else:
            self._stopped_at = now if self._stopped_at is None else self._stopped_at

    def let_work(self) -> None:
        """Take the stop file away, if it is ours."""
        self._stopped_at = None
        if self._stop_file:
            with contextlib.suppress(OSError), open(self._stop_file, encoding="utf-8", errors="replace") as file:
                if file.read(len(MARK) + 1) == MARK:
                    os.unlink(self._stop_file)

    def settled(self, now: float) -> bool:
        """Whether it takes no more jobs."""
        return self._stopped_at is not None and now >= self._stopped_at + SETTLING
