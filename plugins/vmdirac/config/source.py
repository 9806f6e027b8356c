"""Where configuration is read from: Airflow's Variables and Connections, or a test's dictionaries."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from vmdirac.config.settings import SettingsError, secret_keys

if TYPE_CHECKING:
    from airflow.sdk import Connection


class UnreadableError(ValueError):
    """What was found cannot be used; the message says why, without repeating any of it."""


@dataclass(frozen=True, slots=True)
class ConnectionData:
    """What configuration needs of a connection. Its credentials stay with Airflow and the hook.

    :param fingerprint: changes with anything in the connection; nothing can be learned from it. Empty: not known.
    """

    conn_type: str
    extra: dict[str, Any] = field(repr=False)
    fingerprint: str = ""


class ConfigSource(Protocol):
    """Two look-ups; each gives ``None`` for what does not exist and raises if it could not look."""

    def variable(self, name: str) -> str | None: ...

    def connection(self, conn_id: str) -> ConnectionData | None: ...


@dataclass(frozen=True, slots=True)
class ReplacedVariables:
    """A source with some Variables as they might be."""

    source: ConfigSource
    variables: Mapping[str, str]

    def variable(self, name: str) -> str | None:
        return self.variables[name] if name in self.variables else self.source.variable(name)

    def connection(self, conn_id: str) -> ConnectionData | None:
        return self.source.connection(conn_id)


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
        return ConnectionData(connection.conn_type or "", dict(connection.extra_dejson), _fingerprint(connection))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _fingerprint(connection: Connection) -> str:
    """With our key: without it, a guess at the password could be checked against what is stored."""
    try:
        key = secret_keys()[0].value
    except SettingsError:
        return ""
    parts = (connection.host, connection.schema, connection.login, connection.password, connection.port)
    text = json.dumps([*map(str, parts), connection.extra or ""])
    return hmac.new(key, b"connection:" + text.encode(), "sha256").hexdigest()[:16]
