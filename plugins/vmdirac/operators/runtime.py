"""What the body of a loop's task needs, put together from Airflow's configuration inside the task."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from vmdirac.config.loader import Configuration, load_configuration
from vmdirac.config.source import AirflowConfigSource, ConfigSource
from vmdirac.loops.clouds import CloudFactory, airflow_clouds
from vmdirac.model.contracts import Cloud
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.installation import installation_id

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The clock of real life; everything below takes its time as an argument."""
    return datetime.now(UTC)


def cpu_budget(seconds: float) -> Callable[[], bool]:
    """Says whether this process has used so many seconds of CPU from now on."""
    end = time.process_time() + seconds
    return lambda: time.process_time() >= end


class EndpointUnusableError(Exception):
    """An endpoint's connection is missing or has errors, so nothing can be done there."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store, the configuration as it is now, and the clouds.

    :param with_vms: endpoints that have unfinished instances, configured or not.
    """

    store: Store
    configuration: Configuration
    clouds: CloudFactory
    rng: random.Random
    with_vms: frozenset[str]

    def endpoints(self) -> list[str]:
        """Endpoints to be looked after, by name: what is configured, and what has VMs even if it no longer is."""
        return sorted(self.configuration.endpoints.keys() | self.with_vms)

    def cloud(self, endpoint: str) -> Cloud:
        """The cloud of an endpoint.

        :raises EndpointUnusableError: if its connection is missing or has errors.
        """
        configured = self.configuration.endpoints.get(endpoint)
        if configured is None:
            raise EndpointUnusableError(
                f"endpoint {endpoint!r} has VMs or launches, but its connection is missing or has errors, so nobody"
                " looks after them; the log above says what is wrong"
            )
        return self.clouds(configured)


@contextmanager
def open_runtime(source: ConfigSource | None = None) -> Iterator[Runtime]:
    """The runtime of one task; the store is closed with it. Configuration problems are logged, not raised."""
    store = Store.from_config()
    try:
        with store.read() as session:
            with_vms = frozenset(instances.endpoints_with_vms(session))
        configuration = load_configuration(source or AirflowConfigSource(), with_vms)
        _report(configuration.problems)
        clouds = airflow_clouds(installation_id(store, utc_now()))
        yield Runtime(store, configuration, clouds, random.Random(), with_vms)  # noqa: S311 - it breaks ties
    finally:
        store.close()


def _report(problems: Iterable[object]) -> None:
    for problem in problems:
        log.warning("configuration: %s", problem)
