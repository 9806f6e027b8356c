"""What the body of a loop's task needs, put together from Airflow's configuration inside the task."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from vmdirac.config.loader import Configuration, load_configuration
from vmdirac.config.source import AirflowConfigSource, ConfigSource
from vmdirac.loops.clouds import CloudFactory, airflow_clouds
from vmdirac.store import instances
from vmdirac.store.database import Store
from vmdirac.store.installation import installation_id

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The clock of real life; everything below takes its time as an argument."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The store, the configuration as it is now, and the clouds."""

    store: Store
    configuration: Configuration
    clouds: CloudFactory
    rng: random.Random

    def endpoints(self) -> list[str]:
        """Endpoints that can be talked to, by name."""
        return sorted(self.configuration.endpoints)


@contextmanager
def open_runtime(source: ConfigSource | None = None) -> Iterator[Runtime]:
    """The runtime of one task; the store is closed with it. Configuration problems are logged, not raised."""
    store = Store.from_config()
    try:
        with store.read() as session:
            with_vms = instances.endpoints_with_vms(session)
        configuration = load_configuration(source or AirflowConfigSource(), with_vms)
        _report(configuration.problems)
        clouds = airflow_clouds(installation_id(store, utc_now()))
        yield Runtime(store, configuration, clouds, random.Random())  # noqa: S311 - it breaks ties, no secrets
    finally:
        store.close()


def _report(problems: Iterable[object]) -> None:
    for problem in problems:
        log.warning("configuration: %s", problem)
