"""Counting what goes to the database: the part of speed that is the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event

from vmdirac.store.database import Store


@dataclass
class RoundTrips:
    """Statements that went to the database, each as often as it was sent."""

    statements: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.statements)


@contextmanager
def counted(store: Store) -> Iterator[RoundTrips]:
    """Note what goes to the database meanwhile.

    A statement with many sets of parameters counts as many times, as drivers may send each by itself; but for an
    INSERT, of which they make one. The beginning of a transaction is not counted: only on SQLite is it a statement.
    """
    trips = RoundTrips()

    def note(_: Any, __: Any, statement: str, parameters: Any, ___: Any, many: bool) -> None:
        if statement.startswith("BEGIN"):
            return
        trips.statements += [statement] * (len(parameters) if many and not statement.startswith("INSERT") else 1)

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        yield trips
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
