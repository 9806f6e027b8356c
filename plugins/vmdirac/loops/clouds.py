"""The cloud behind an endpoint."""

from __future__ import annotations

from collections.abc import Callable

from vmdirac.config.endpoints import DRIVERS
from vmdirac.model.contracts import Cloud
from vmdirac.model.pod import Endpoint

CloudFactory = Callable[[Endpoint], Cloud]


def airflow_clouds(installation_id: str) -> CloudFactory:
    """Makes the hook of an endpoint's driver; a driver's libraries are only loaded when one of its endpoints is
    used."""
    from airflow.sdk._shared.module_loading import import_string

    def make(endpoint: Endpoint) -> Cloud:
        hook: Callable[..., Cloud] = import_string(DRIVERS[endpoint.driver].hook)
        return hook(endpoint.name, installation_id)

    return make
