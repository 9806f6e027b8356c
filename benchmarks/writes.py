"""State changes a second, each a compare-and-set with its line of history: many in a transaction, beside one a commit.

Durable: a commit returns once the disk has it. The tests' own servers and stores do not wait for that, these do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import event
from sqlalchemy.orm import Session

from benchmarks import fleet
from benchmarks.measurement import Measurement
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgres import PostgresServer
from vmdirac.model.cloud import CloudState
from vmdirac.model.instance import Instance
from vmdirac.store import instances
from vmdirac.store.changes import Change, change_all
from vmdirac.store.database import Store
from vmdirac.store.tables import Base

VMS = 10_000
ONE_BY_ONE = 500
"""So many are written one by one: enough to know how long one takes."""

LATER = fleet.NOW + timedelta(minutes=1)


class DurablePostgres(PostgresServer):
    unsynced: ClassVar[Mapping[str, str]] = {}


class DurableMariaDB(MariaDBServer):
    unsynced: ClassVar[tuple[str, ...]] = ()


def measure() -> Iterator[Measurement]:
    """SQLite, and the servers that are installed."""
    with tempfile.TemporaryDirectory(prefix="vmdirac-bench-") as name:
        folder = Path(name)
        yield _compared("sqlite", f"sqlite:///{folder / 'writes.db'}")
        for kind in (DurablePostgres, DurableMariaDB):
            if kind.unavailable() is None:
                with kind(folder) as server:
                    yield _compared(kind.title.lower(), server.create_database("writes"))


def _compared(database: str, url: str) -> Measurement:
    with ExitStack() as stack:
        store = Store(url)
        stack.callback(store.close)
        if database == "sqlite":
            event.listen(store.engine, "connect", _wait_for_the_disk)
        Base.metadata.create_all(store.engine)
        fleet.make(store, VMS, changing=False)
        with store.read() as session:
            everything = instances.unfinished(session)
        alone = ONE_BY_ONE / _timed(lambda: one_a_commit(store, everything[:ONE_BY_ONE]))
        rest = everything[ONE_BY_ONE:]
        together = len(rest) / _timed(lambda: store.transact(partial(all_in_one, items=rest)))
    return Measurement(
        f"writes_{database}",
        together,
        "1/s",
        f"one commit each: {alone:.0f} 1/s",
        alone / together,
        {"batched": len(rest), "one_by_one": ONE_BY_ONE, "one_by_one_rate": round(alone, 1), "database": database},
    )


def _wait_for_the_disk(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")


def _timed(deed: Callable[[], object]) -> float:
    before = time.perf_counter()
    deed()
    return time.perf_counter() - before


def one_a_commit(store: Store, items: Sequence[Instance]) -> None:
    """Each change in a transaction of its own."""
    for item in items:
        change = partial(instances.change, instance=item, now=LATER, reason=_reason(item), **_values(item))
        if not store.transact(change):
            raise RuntimeError("somebody else has changed it")


def all_in_one(session: Session, items: Sequence[Instance]) -> None:
    """All changes in one transaction."""
    changes = [Change(item, _reason(item), values=_values(item)) for item in items]
    if len(change_all(session, changes, LATER)) != len(items):
        raise RuntimeError("somebody else has changed some")


def _reason(item: Instance) -> str:
    return f"changed by a benchmark: {item.cloud_id}"


def _values(item: Instance) -> dict[str, Any]:
    """As an adoption: what each VM has of its own, and what all have."""
    return {
        "private_ip": f"10.1.{item.id >> 8 & 255}.{item.id & 255}",
        "cloud_state": CloudState.RUNNING,
        "absences": 0,
    }
