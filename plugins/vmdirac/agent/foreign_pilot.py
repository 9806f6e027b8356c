"""A pilot that is not ours works on this VM: its jobs are counted, and it can be kept from taking more."""

import contextlib
import os
from typing import Dict, List, Optional

from vmdirac.agent.log import Log
from vmdirac.agent.pilot_place import PilotPlace

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
    """The pod's pilot, which runs beside the agent, or one that the image brings along, or none at all.

    :param place: where the pod's pilot is met.
    :param location: where its jobs leave files; empty: as long as the pod's pilot lives, that is one job.
    :param stop_file: keeps it from taking jobs; empty: it cannot be kept from them, and is waited for.
    """

    def __init__(self, place: PilotPlace, location: str, stop_file: str, log: Log) -> None:
        self._place, self._location, self._stop_file, self._log = place, location, stop_file, log
        self._last = 0
        self._stopped_at: Optional[float] = None

    @property
    def takes_all_jobs(self) -> bool:
        """Whether the agent is to take none."""
        return bool(self._location)

    def here(self) -> bool:
        """Whether there is one that wants to know what it may use."""
        return self.takes_all_jobs or self._place.here()

    def jobs(self) -> int:
        """How many jobs it has. While they cannot be seen it has those that it had, and one at least."""
        try:
            self._last = count_jobs(self._location) if self._location else int(self._place.works())
        except OSError as error:
            self._log("the pilot's jobs cannot be counted: %s", error)
            self._last = max(1, self._last)
        return self._last

    def keep_from_jobs(self, now: float) -> None:
        """See to it that it does not begin, and that its stop file is there."""
        try:
            self._place.hold_back()
        except OSError as error:
            self._log("the pilot cannot be held back: %s", error)
            self._stopped_at = None
            return
        try:
            if self._stop_file and not os.path.lexists(self._stop_file):
                _write_new(self._stop_file)
        except OSError as error:
            self._log("the pilot's stop file %s cannot be written: %s", self._stop_file, error)
            self._stopped_at = None
        else:
            self._stopped_at = now if self._stopped_at is None else self._stopped_at

    def let_work(self, environment: Optional[Dict[str, str]]) -> None:
        """Take the stop file away, if it is ours; and let the pod's pilot begin with these variables. None: it must
        wait, for what it needs is not there yet."""
        self._stopped_at = None
        if self._stop_file:
            with contextlib.suppress(OSError), open(self._stop_file, encoding="utf-8", errors="replace") as file:
                if file.read(len(MARK) + 1) == MARK:
                    os.unlink(self._stop_file)
        if environment is not None:
            try:
                if self._place.let_begin(environment):
                    self._log("the pilot may begin")
            except OSError as error:
                self._log("the pilot cannot be told to begin: %s", error)

    def settled(self, now: float) -> bool:
        """Whether it takes no more jobs. One that lives and has no stop file may take one at any time."""
        if self._stopped_at is None:
            return False
        if self._stop_file and now >= self._stopped_at + SETTLING:
            return True
        return not self._location and not self.jobs()
