"""What a VM has done since it registered first, however often its agent was started."""

import contextlib
import json
from typing import Callable

from vmdirac.agent.files import write_secret
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Message

KEEPING_PERIOD = 60.0  # seconds of which an end that nobody foresaw takes the last away


class Totals:
    """``files`` and ``bytes`` that were taken, and for how long the VM's agents have run; kept in a file.

    :param whose: the VM; what another one left counts for nothing.
    :param clock: seconds that only grow. The time of day may be set while the VM boots.
    """

    def __init__(self, path: str, whose: Message, log: Log, clock: Callable[[], float]) -> None:
        self._path, self._whose, self._log, self._clock = path, whose, log, clock
        self.files = self.bytes = 0
        self._before = 0.0  # seconds for which earlier agents ran
        self._started = self._kept_at = clock()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), open(path, encoding="ascii") as file:
            values = json.load(file)
            if values["whose"] == whose:
                files, size, before = int(values["files"]), int(values["bytes"]), float(values["uptime"])
                self.files, self.bytes, self._before = files, size, before

    def uptime(self) -> float:
        """In seconds, without the time between two agents."""
        now = self._clock()
        if now >= self._kept_at + KEEPING_PERIOD:
            self.keep()
        return self._before + now - self._started

    def add(self, files: int, size: int) -> None:
        """Files were taken."""
        self.files += files
        self.bytes += size
        self.keep()

    def keep(self) -> None:
        """Write them down; that it failed is only said."""
        now = self._kept_at = self._clock()
        uptime = self._before + now - self._started
        values = {"whose": self._whose, "files": self.files, "bytes": self.bytes, "uptime": uptime}
        try:
            write_secret(self._path, json.dumps(values).encode("ascii"))
        except OSError as error:
            self._log("what was done cannot be noted: %s", error)
