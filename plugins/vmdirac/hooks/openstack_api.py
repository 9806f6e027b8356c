"""How OpenStack is called: with time-outs, never twice by itself, errors typed, lists to their last page."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Connection

from vmdirac.config.openstack import OpenstackCloudConfig
from vmdirac.hooks.openstack_errors import error_of_answer, typed_errors
from vmdirac.hooks.openstack_login import cloud_connection
from vmdirac.model.errors import CloudError, ConfigError, TransientError

CALLS_AT_ONCE = 8
"""Launches and deletes under way at most; so many connections are kept."""

PAGE = 1000

LIST_PAUSES = (0.2, 0.4, 0.8, 1.6)
"""Seconds until a list that was not found is asked for again."""

DOWN_CELLS_SHOWN = (2, 69)
"""Since this version of its interface Nova lists VMs of a cell that does not answer, with next to nothing about them;
before it left them out without a word."""


@dataclass(frozen=True, slots=True)
class _Absent:
    """The answer where there is no such thing."""

    error: CloudError


class OpenstackApi:
    """The services of one endpoint. One session, with its token and connections, used by threads but not by forks."""

    def __init__(self, connection: Connection, config: OpenstackCloudConfig) -> None:
        self._connection, self._config = connection, config
        self._clouds: dict[int, Any] = {}
        self._listing_version: str | None = None

    @property
    def cloud(self) -> Any:
        """openstacksdk's connection. Raises one of our errors where there can be none."""
        # A forked process must not talk over its parent's connections.
        pid = os.getpid()
        if pid not in self._clouds:
            with typed_errors():
                self._clouds[pid] = cloud_connection(self._connection, self._config)
        return self._clouds[pid]

    def get(self, service: str, path: str, **options: Any) -> dict[str, Any]:
        return self.call("GET", service, path, **options)

    def call(self, method: str, service: str, path: str, **options: Any) -> dict[str, Any]:
        """The answer's content. Raises one of our errors."""
        answer = self._call(method, service, path, options)
        if isinstance(answer, _Absent):
            raise answer.error
        return answer

    def find(self, method: str, service: str, path: str, **options: Any) -> dict[str, Any] | None:
        """The answer's content; None where there is no such thing (any more). Raises one of our errors."""
        answer = self._call(method, service, path, options)
        return None if isinstance(answer, _Absent) else answer

    def _call(self, method: str, service: str, path: str, options: Mapping[str, Any]) -> dict[str, Any] | _Absent:
        with typed_errors():
            client = getattr(self.cloud, service)
            # Never again by the library: whether something was made, when the answer is lost, is looked up.
            response = client.request(
                path, method, raise_exc=False, connect_retries=0, status_code_retries=0, **options
            )
            if response.status_code >= 400:
                error = error_of_answer(response)
                if response.status_code == 404 and isinstance(error, ConfigError):
                    return _Absent(error)
                raise error
            answer = response.json() if response.content else {}
        if not isinstance(answer, dict):
            raise TransientError(f"{service} answered with what is no JSON object")
        return answer

    def listed(self, service: str, path: str, key: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """All items of one of the short lists (images, flavors, networks, addresses …), in pages."""
        marker, seen = None, set[str]()
        while True:
            params = {**filters, "limit": PAGE, **({"marker": marker} if marker else {})}
            items = self._page(service, path, params).get(key, [])
            new = [item for item in items if item["id"] not in seen]
            yield from new
            # A service that cuts pages shorter than asked for is asked once more, and has nothing new.
            if not new:
                return
            seen.update(item["id"] for item in new)
            marker = items[-1]["id"]

    def _page(self, service: str, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        # Neutron answers 404 to a list of ports while one of them is being deleted.
        for pause in LIST_PAUSES:
            answer = self.find("GET", service, path, params=params)
            if answer is not None:
                return answer
            time.sleep(pause)
        return self.get(service, path, params=params)

    def servers(self, *, page: int = PAGE, **filters: str) -> Iterator[dict[str, Any]]:
        """All VMs of the project that the filters let through, as Nova describes them, each once.

        The oldest first, so that what is made meanwhile comes at the end. Raises TransientError where the list cannot
        be complete.
        """
        seen: set[str] = set()
        for _ in range(3):
            try:
                yield from self._servers(seen, page, filters)
            except _MarkerGoneError:
                continue
            return
        raise TransientError("the list of VMs could not be completed: again and again the last one of a page was gone")

    def _servers(self, seen: set[str], page: int, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        marker = ""
        params = {**filters, "limit": str(page), "sort_key": "created_at", "sort_dir": "asc"}
        while True:
            try:
                answer = self.get(
                    "compute",
                    "/servers/detail",
                    params={**params, "marker": marker} if marker else params,
                    microversion=self.listing_version,
                )
            except ConfigError as error:
                if marker and "marker" in str(error).lower():
                    raise _MarkerGoneError(str(error)) from None
                raise
            servers = answer.get("servers", [])
            for server in servers:
                if "metadata" not in server:
                    raise TransientError("a part (cell) of Nova does not answer: the list of VMs is not complete")
                if server["id"] not in seen:
                    seen.add(server["id"])
                    yield server
            if not servers or not any(link.get("rel") == "next" for link in answer.get("servers_links", [])):
                return
            marker = servers[-1]["id"]

    @property
    def listing_version(self) -> str | None:
        """The version of Nova's interface to list with; None: its first one."""
        if self._listing_version is None:
            with typed_errors():
                data = self.cloud.compute.get_endpoint_data()
            newest = getattr(data, "max_microversion", None) or (0, 0)
            self._listing_version = "2.69" if tuple(newest) >= DOWN_CELLS_SHOWN else ""
        return self._listing_version or None


class _MarkerGoneError(ConfigError):
    """The last VM of a page was deleted before the next page was asked for."""
