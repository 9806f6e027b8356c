"""What the operators for one-off VMs need: the store and single endpoints, whatever pods are configured."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vmdirac.config.loader import load_endpoint
from vmdirac.config.source import AirflowConfigSource
from vmdirac.loops.clouds import airflow_clouds
from vmdirac.model.contracts import Cloud
from vmdirac.model.pod import Endpoint
from vmdirac.operators.runtime import EndpointUnusableError, utc_now
from vmdirac.operators.uninterrupted import UninterruptedStore
from vmdirac.store.database import Store
from vmdirac.store.installation import installation_id

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OneOffRuntime:
    """The store, and clouds by endpoint."""

    store: Store
    installation_id: str

    def endpoint(self, name: str) -> Endpoint:
        """One endpoint as it is configured now.

        :raises EndpointUnusableError: if its connection is missing or has errors.
        """
        endpoint, problems = load_endpoint(AirflowConfigSource(), name)
        if endpoint is None:
            raise EndpointUnusableError("; ".join(map(str, problems)))
        for problem in problems:
            log.warning("configuration: %s", problem)
        return endpoint

    def cloud(self, endpoint: Endpoint) -> Cloud:
        """Its cloud."""
        return airflow_clouds(self.installation_id)(endpoint)


@contextmanager
def open_one_off_runtime() -> Iterator[OneOffRuntime]:
    """The runtime of one task; the store is closed with it."""
    store = UninterruptedStore.from_config()
    try:
        yield OneOffRuntime(store, installation_id(store, utc_now()))
    finally:
        store.close()
