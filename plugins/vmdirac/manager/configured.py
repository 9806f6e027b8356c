"""The configuration as the VM interface needs it: read by this process, and not again for every call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Final

from vmdirac.config.loader import Configuration, load_configuration
from vmdirac.config.source import AirflowConfigSource
from vmdirac.loops.deadlines import can_be_judged, deadlines_of
from vmdirac.model.credential import CredentialSource
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines

log = logging.getLogger(__name__)

FRESH_S: Final = 15.0
FIRST_S: Final = 10.0
"""How long a call waits for the first reading that another one has begun. Calls are served by few threads: a secrets
backend that does not answer must not take all of them from the heartbeats."""


def read_from_airflow() -> Configuration:
    """All pods, images and endpoints of this Airflow."""
    return load_configuration(AirflowConfigSource())


class Configured:
    """The configuration as it was a few seconds ago."""

    def __init__(
        self, read: Callable[[], Configuration] = read_from_airflow, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._begun = Lock()
        self._found: Configuration | None = None
        self._read_at = float("-inf")

    def get(self) -> Configuration | None:
        """The configuration; ``None``: it cannot be had now. While somebody reads it anew, the old one is good."""
        if self._clock() - self._read_at < FRESH_S:
            return self._found
        if not self._lock.acquire(timeout=FIRST_S if self._found is None else 0):
            return self._found
        try:
            if self._clock() - self._read_at >= FRESH_S:
                self._found = self._read_now()
                self._read_at = self._clock()
            return self._found
        finally:
            self._lock.release()

    def _read_now(self) -> Configuration | None:
        try:
            return self._read()
        except Exception as error:  # noqa: BLE001 - whatever it is, VMs are served without it
            log.error("the configuration could not be read: %s", type(error).__name__)
            return None

    def credentials(self, pod: str) -> Sequence[CredentialSource] | None:
        """The credentials of a pod. ``None``: they are not known, or not any more; its VMs keep what they have."""
        found = self.get()
        return found.pods[pod].credentials if found is not None and pod in found.pods else None

    def has_credentials(self, pod: str) -> bool:
        """Whether it is known now that the pod has some. Nothing is waited for: a heartbeat asks."""
        found = self._found
        self._read_soon()
        return found is not None and pod in found.pods and bool(found.pods[pod].credentials)

    def _read_soon(self) -> None:
        if self._clock() - self._read_at >= FRESH_S and self._begun.acquire(blocking=False):
            Thread(target=self._read_and_release, name="vmdirac-configuration", daemon=True).start()

    def _read_and_release(self) -> None:
        try:
            self.get()
        finally:
            self._begun.release()

    def deadlines(self, instance: Instance) -> Deadlines | None:
        """Those that hold for it; ``None``: they are not known now."""
        found = self.get()
        if found is None or not can_be_judged(found, instance):
            return None
        return deadlines_of(found)(instance)
