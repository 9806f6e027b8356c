"""What the agent finds on the VM that others left there, and what it leaves for them."""

import os
from typing import Dict, NamedTuple, Optional

from vmdirac.agent import features, shutdown_message
from vmdirac.agent.departure import Departure
from vmdirac.agent.log import Log


class Site(NamedTuple):
    """What the machine's site says of it by machine features of its own; None: nothing."""

    hs06: Optional[float] = None
    shutdown_time: Optional[float] = None
    grace_secs: Optional[float] = None


class Surroundings:
    """Paths on the VM, read and written at each look.

    :param site_features: the directory where the site describes the machine; empty: it does not.
    """

    def __init__(
        self, *, stop_file: str, shutdown_message: str, machine_features: str, job_features: str, site_features: str
    ) -> None:
        self.machine_features, self.job_features = machine_features, job_features
        self._stop_file, self._shutdown_message = stop_file, shutdown_message
        self._site_features = site_features if site_features != machine_features else ""

    def stop_file(self) -> bool:
        """Whether somebody wants the VM to go."""
        return os.path.lexists(self._stop_file)

    def shutdown_message(self) -> Optional[Departure]:
        """Why whatever works here is done, if it is."""
        return shutdown_message.read(self._shutdown_message)

    def site(self) -> Site:
        if not self._site_features:
            return Site()
        found = (features.read_number(self._site_features, key) for key in ("hs06", "shutdowntime", "grace_secs"))
        return Site(*found)

    def describe(self, processors: int, shutdown_time: Optional[float], site: Site, log: Log) -> None:
        """Tell the jobs of the machine; that it failed is only said."""
        values = features.machine_features(processors, shutdown_time, site.hs06, site.grace_secs or 0.0)
        self._write(self.machine_features, values, log)

    def describe_job(self, values: Dict[str, str], log: Log) -> None:
        """Tell another pilot what it may use."""
        self._write(self.job_features, values, log)

    @staticmethod
    def _write(directory: str, values: Dict[str, str], log: Log) -> None:
        try:
            features.write_features(directory, values)
        except OSError as error:
            log("%s cannot be written: %s", directory, error)
