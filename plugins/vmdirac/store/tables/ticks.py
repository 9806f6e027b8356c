from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.store.tables.base import (
    MARIADB_OPTIONS,
    Base,
    BigId,
    Id,
    LongText,
    Name,
    OptionalTime,
    Time,
)


class TickRow(Base):
    """One pass of the scheduler, with the demand that it saw."""

    __tablename__ = "vmdirac_ticks"
    __table_args__ = (Index(None, "began_at"), MARIADB_OPTIONS)

    id: Mapped[Id]
    began_at: Mapped[Time]
    run_id: Mapped[str] = mapped_column(String(255), default="")
    demand: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    demand_observed_at: Mapped[OptionalTime]
    demand_error: Mapped[str] = mapped_column(LongText, default="")
    planned_at: Mapped[OptionalTime]


class DecisionRow(Base):
    """What one tick decided for one (pod, endpoint), and what became of it."""

    __tablename__ = "vmdirac_decisions"
    __table_args__ = (
        UniqueConstraint("tick_id", "pod", "endpoint"),
        Index(None, "pod", "id"),
        MARIADB_OPTIONS,
    )

    id: Mapped[Id]
    tick_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_ticks.id", ondelete="CASCADE"))
    pod: Mapped[Name]
    endpoint: Mapped[Name]
    jobs: Mapped[int] = mapped_column(BigId)
    waiting_cpu: Mapped[int] = mapped_column(BigId)
    active: Mapped[int]
    in_flight: Mapped[int]
    warranted: Mapped[int]
    planned: Mapped[int]
    launched: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
