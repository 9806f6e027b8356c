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

LIST_ATTEMPTS = 3
"""How often a list is begun that others break by deleting what is on it."""

SCHEDULING_ATTEMPTS, SCHEDULING_PAUSE = 60, 1.0
"""How often, and after how many seconds, a list is begun again while more than a page of VMs wait for a host."""

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

    def listed(self, service: str, path: str, key: str, **filters: Any) -> list[dict[str, Any]]:
        """All items of one of the short lists (images, flavors, networks, addresses …), each once.

        To the end before anything is done with them, for whoever deletes items meanwhile breaks the list: a page is
        asked for by the last item of the one before, and of one that is gone Neutron knows no next page.
        """
        return list(self._items(service, path, key, {**filters, "limit": PAGE}))

    def servers(self, *, page: int = PAGE, **filters: str) -> Iterator[dict[str, Any]]:
        """All VMs of the project that the filters let through, as Nova describes them, each once.

        The oldest first, so that what is made meanwhile comes at the end. Raises TransientError where the list cannot
        be complete, also while Nova has more than a page of VMs to find a host for and does not get on with it.
        """
        params = {**filters, "limit": str(page), "sort_key": "created_at", "sort_dir": "asc"}
        path, version = "/servers/detail", self.listing_version
        for server in self._items("compute", path, "servers", params, microversion=version):
            if "metadata" not in server:
                raise TransientError("a part (cell) of Nova does not answer: the list of VMs is not complete")
            yield server

    def _items(
        self, service: str, path: str, key: str, params: Mapping[str, Any], **options: Any
    ) -> Iterator[dict[str, Any]]:
        seen: set[str] = set()
        broken, waited = 0, 0
        while True:
            try:
                for item in self._pages(service, path, key, params, options):
                    if item["id"] not in seen:
                        seen.add(item["id"])
                        yield item
                return
            except _MarkerGoneError:
                broken += 1
                if broken == LIST_ATTEMPTS:
                    message = f"the list of {key} could not be completed: each time the last one of a page was gone"
                    raise TransientError(message) from None
            except _MarkerMovesError:
                waited += 1
                if waited == SCHEDULING_ATTEMPTS:
                    message = f"the list of {key} could not be completed: too many of them wait for a host"
                    raise TransientError(message) from None
                time.sleep(SCHEDULING_PAUSE)

    def _pages(
        self, service: str, path: str, key: str, params: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Iterator[dict[str, Any]]:
        marker = ""
        while True:
            page = {**params, "marker": marker} if marker else params
            try:
                answer = self.get(service, path, params=page, **options)
            except ConfigError as error:
                # What was no mistake for the first page is none for the next.
                raise _MarkerGoneError(str(error)) if marker else error from None
            items = answer.get(key, [])
            yield from items
            if not items or items[-1]["id"] == marker or not _goes_on(answer, key):
                return
            if _waits_for_a_host(items[-1]):
                raise _MarkerMovesError
            marker = items[-1]["id"]

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
    """The last item of a page was deleted before the next page was asked for."""


class _MarkerMovesError(Exception):
    """The last VM of a page has no host yet.

    Nova lists those that have none before all others. Should this one get its host before the next page is asked
    for, that page would begin behind it among the others, and who still has none would be on no page at all.
    """


def _waits_for_a_host(item: Mapping[str, Any]) -> bool:
    return item.get("OS-EXT-STS:task_state") == "scheduling"


def _goes_on(answer: Mapping[str, Any], key: str) -> bool:
    """Whether there is a next page: Glance says it in its own way."""
    return bool(answer.get("next")) or any(link.get("rel") == "next" for link in answer.get(f"{key}_links") or ())
