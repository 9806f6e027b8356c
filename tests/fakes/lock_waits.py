"""Waiting until the database says that somebody waits for a lock: the only honest sign that two are in each other's
way."""

from __future__ import annotations

from sqlalchemy import text

from tests.hooks.waiting import wait_until
from vmdirac.store.database import Store

_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    # Not innodb_trx: it shows the same old picture to whoever looks more often than ten times a second.
    "mysql": (
        "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status"
        " WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'"
    ),
}


def wait_until_somebody_waits(store: Store) -> None:
    """For tests on servers: return once a transaction there waits for another one."""
    query = text(_WAITING[store.engine.dialect.name])

    def somebody_waits() -> bool:
        with store.read() as session:
            return bool(session.scalar(query))

    wait_until(somebody_waits, "a transaction waits for another one")
