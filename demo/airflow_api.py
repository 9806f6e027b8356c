"""The few questions that the demo has for Airflow's REST API."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

TIMEOUT = 30.0
"""Seconds. The first requests build the API's routes, which takes some on a slow machine."""

HEALTH_TIMEOUT = 5.0
"""Seconds. Asked again and again, and a Ctrl-C meanwhile should not have to wait long."""

_HEARTBEATS = {
    "scheduler": "latest_scheduler_heartbeat",
    "dag_processor": "latest_dag_processor_heartbeat",
    "triggerer": "latest_triggerer_heartbeat",
}


class AirflowApi:
    """A client for the API at ``url``; it logs in when it first has to.

    :param tls: whom to trust, where the address is https; None: whom the system trusts.
    """

    def __init__(self, url: str, user: str, password: str, tls: ssl.SSLContext | None = None) -> None:
        self.url = url
        self._user = user
        self._password = password
        self._token: str | None = None
        # Nothing on this machine is behind a proxy, whatever the user's environment says.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
        )

    def not_healthy(self, since: datetime) -> list[str]:
        """Components of Airflow that are not up, or have shown no sign of life since then."""
        try:
            health = self._ask("/api/v2/monitor/health", {}, {}, HEALTH_TIMEOUT)
        except OSError:
            return ["api_server"]
        return missing(health, since)

    def failed_runs(self, since: datetime) -> int:
        """How many DAG runs that began since then failed.

        :raises OSError: if the API doesn't answer.
        """
        answer = self._ask_as_user(
            "/api/v2/dags/~/dagRuns", {"state": "failed", "start_date_gte": since.isoformat(), "limit": 1}
        )
        return int(answer["total_entries"])

    def running_runs(self) -> set[tuple[str, str]]:
        """DAG and run id of each DAG run that is running now.

        :raises OSError: if the API doesn't answer.
        """
        answer = self._ask_as_user("/api/v2/dags/~/dagRuns", {"state": "running", "limit": 100})
        return {(run["dag_id"], run["dag_run_id"]) for run in answer["dag_runs"]}

    def last_failed_task(self) -> str | None:
        """The task that failed last, of whatever DAG, in words.

        :raises OSError: if the API doesn't answer.
        """
        answer = self._ask_as_user(
            "/api/v2/dags/~/dagRuns/~/taskInstances", {"state": "failed", "order_by": "-end_date", "limit": 1}
        )
        tasks: Sequence[Mapping[str, Any]] = answer["task_instances"]
        return "{dag_id}.{task_id} in {dag_run_id}".format(**tasks[0]) if tasks else None

    def _ask_as_user(self, path: str, query: Mapping[str, object]) -> dict[str, Any]:
        if self._token is None:
            login = json.dumps({"username": self._user, "password": self._password}).encode()
            request = urllib.request.Request(  # noqa: S310
                f"{self.url}/auth/token", data=login, headers={"Content-Type": "application/json"}
            )
            self._token = self._open(request, TIMEOUT)["access_token"]
        return self._ask(path, query, {"Authorization": f"Bearer {self._token}"}, TIMEOUT)

    def _ask(self, path: str, query: Mapping[str, object], headers: dict[str, str], timeout: float) -> dict[str, Any]:
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        return self._open(urllib.request.Request(url, headers=headers), timeout)  # noqa: S310

    def _open(self, request: urllib.request.Request, timeout: float) -> dict[str, Any]:
        try:
            with self._opener.open(request, timeout=timeout) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except (http.client.HTTPException, ValueError) as error:
            # What a server says while it starts or ends; to us the same as saying nothing.
            raise OSError(f"no good answer: {error!r}") from error


def missing(health: Mapping[str, Mapping[str, str | None]], since: datetime) -> list[str]:
    """Which components a health answer shows as not up, or up only before ``since``.

    An earlier scheduler's last sign of life makes Airflow call a scheduler healthy that has not begun yet.
    """
    absent = []
    for name, key in _HEARTBEATS.items():
        component = health.get(name, {})
        beat = component.get(key)
        if component.get("status") != "healthy" or beat is None or datetime.fromisoformat(beat) < since:
            absent.append(name)
    return absent
