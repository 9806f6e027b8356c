from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Double, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, BigId, Id, Name, Time


class CountingRow(Base):
    """How far the rows of a table have been counted; see :class:`vmdirac.policy.cursor.Cursor`."""

    __tablename__ = "vmdirac_countings"
    __table_args__ = (MARIADB_OPTIONS,)

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    upto: Mapped[int] = mapped_column(BigId, default=0)
    gaps: Mapped[list[dict[str, Any]]] = mapped_column(JSON)


class TotalRow(Base):
    """What happened within an hour, which begins at ``hour``: it stays when the rows that it was counted from go.

    ``kind``, ``what``: see :class:`vmdirac.model.event.EventKind`. ``seconds``: of all of them together.
    """

    __tablename__ = "vmdirac_totals"
    __table_args__ = (UniqueConstraint("hour", "kind", "pod", "endpoint", "what"), MARIADB_OPTIONS)

    id: Mapped[Id]
    hour: Mapped[Time]
    kind: Mapped[str] = mapped_column(String(32))
    pod: Mapped[Name]
    endpoint: Mapped[Name]
    what: Mapped[str] = mapped_column(String(64))
    count: Mapped[int] = mapped_column(BigId)
    seconds: Mapped[float] = mapped_column(Double)


class TableSizeRow(Base):
    """How many rows a table of ours had when they were counted last."""

    __tablename__ = "vmdirac_table_sizes"
    __table_args__ = (MARIADB_OPTIONS,)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    row_count: Mapped[int] = mapped_column(BigId)
    counted_at: Mapped[Time]
