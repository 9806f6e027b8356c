"""Where configuration is read from: Airflow's Variables and Connections, or a test's dictionaries."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol


class UnreadableError(ValueError):
    """What was found cannot be used; the message says why, without repeating any of it."""


@dataclass(frozen=True, slots=True)
class ConnectionData:
    """What configuration needs of a connection. Its credentials stay with Airflow and the hook."""

    conn_type: str
    extra: dict[str, Any] = field(repr=False)


class ConfigSource(Protocol):
    """Two look-ups; each gives ``None`` for what does not exist and raises if it could not look."""

    def variable(self, name: str) -> str | None: ...

    def connection(self, conn_id: str) -> ConnectionData | None: ...


class AirflowConfigSource:
    """The Variables and Connections of this Airflow. To be used inside a task, a route or a command, never while a
    DAG file is parsed: each look-up is a request to the API server.

    Airflow passes over secrets backends that fail, so ``None`` may also mean that one of them could not look.
    """

    def variable(self, name: str) -> str | None:
        from airflow.sdk import Variable

        value: str | None = Variable.get(name, default=None)
        return value

    def connection(self, conn_id: str) -> ConnectionData | None:
        from airflow.sdk import Connection
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            connection = Connection.get(conn_id)
        except AirflowNotFoundException:
            return None
        if not _is_object(connection.extra or "{}"):
            # Airflow would take it for an empty one.
            raise UnreadableError("its extra is not a JSON object")
        return ConnectionData(connection.conn_type or "", dict(connection.extra_dejson))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
