"""Configuration for tests: a source that is a pair of dictionaries, and pods, images and endpoints that are good."""

from __future__ import annotations

import json
from typing import Any

from vmdirac.config.images import IMAGES_VARIABLE
from vmdirac.config.pods import RUNNING_PODS_VARIABLE
from vmdirac.config.source import ConnectionData

GOOD_POD: dict[str, Any] = {
    "image": "image",
    "endpoints": ["A"],
    "max_instances": 5,
    "requirements": {"cpu_time": 3600},
}
GOOD_IMAGE: dict[str, Any] = {"boot_image": "base", "flavor": "small"}
GOOD_ENDPOINT: dict[str, Any] = {"max_instances": 10}


class DictionarySource:
    """Variables as text, connections as (type, extra); an exception in their place is raised."""

    def __init__(
        self,
        variables: dict[str, str | Exception],
        connections: dict[str, tuple[str, dict[str, Any]] | Exception],
    ) -> None:
        self.variables, self.connections = variables, connections

    def variable(self, name: str) -> str | None:
        found = self.variables.get(name)
        if isinstance(found, Exception):
            raise found
        return found

    def connection(self, conn_id: str) -> ConnectionData | None:
        found = self.connections.get(conn_id)
        if isinstance(found, Exception):
            raise found
        return None if found is None else ConnectionData(*found)


def source(
    pods: Any = None,
    images: Any = None,
    connections: dict[str, tuple[str, dict[str, Any]] | Exception] | None = None,
) -> DictionarySource:
    """A source with one good pod, image and endpoint, where nothing else is given."""
    return DictionarySource(
        {
            RUNNING_PODS_VARIABLE: json.dumps({"pod": GOOD_POD} if pods is None else pods),
            IMAGES_VARIABLE: json.dumps({"image": GOOD_IMAGE} if images is None else images),
        },
        {"A": ("vmdirac_local", GOOD_ENDPOINT)} if connections is None else connections,
    )
