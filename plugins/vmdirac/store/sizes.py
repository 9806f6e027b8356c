"""How large our tables are. Counting rows takes long in large tables, so what was counted is kept for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from vmdirac.store.tables import Base, TableSizeRow


@dataclass(frozen=True, slots=True)
class TableSize:
    """How many rows a table had then."""

    name: str
    rows: int
    counted_at: datetime


def counted(session: Session) -> dict[str, int]:
    """How many rows each of our tables has now."""
    return {
        table.name: session.scalars(select(func.count()).select_from(table)).one()
        for table in Base.metadata.sorted_tables
    }


def keep(session: Session, rows: Mapping[str, int], now: datetime) -> None:
    """Keep what was counted, in place of what was counted before."""
    for row in session.scalars(select(TableSizeRow)):
        if row.name not in rows:
            session.delete(row)
    for name, count in rows.items():
        session.merge(TableSizeRow(name=name, row_count=count, counted_at=now))
    session.flush()


def kept(session: Session) -> list[TableSize]:
    """What was counted last, the largest first."""
    query = select(TableSizeRow).order_by(TableSizeRow.row_count.desc(), TableSizeRow.name)
    return [TableSize(row.name, row.row_count, row.counted_at) for row in session.scalars(query)]
