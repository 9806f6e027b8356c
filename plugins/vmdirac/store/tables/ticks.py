from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Double, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.model.decision import ReasonCode
from vmdirac.store.tables.base import (
    MARIADB_OPTIONS,
    Base,
    BigId,
    Enumerated,
    Id,
    LongText,
    Name,
    OptionalTime,
    Time,
)


class TickRow(Base):
    """One pass of the scheduler. ``ordered_pod``, ``ordered_vms``: what somebody asked for by hand; ``note``: what came
    of it, in one line; ``ended_at``: when that was written."""

    __tablename__ = "vmdirac_ticks"
    __table_args__ = (Index(None, "began_at"), Index(None, "run_id"), MARIADB_OPTIONS)

    id: Mapped[Id]
    began_at: Mapped[Time]
    run_id: Mapped[str] = mapped_column(String(255), default="")
    ordered_pod: Mapped[str] = mapped_column(String(255), default="")
    ordered_vms: Mapped[int | None]
    planned_at: Mapped[OptionalTime]
    ended_at: Mapped[OptionalTime]
    note: Mapped[str] = mapped_column(LongText, default="")


class TickDemandRow(Base):
    """What one job source told a tick. ``observed_at`` is None if it could not, and then ``error`` says why.

    ``unmatched``: jobs that wait there and that no pod serves.
    """

    __tablename__ = "vmdirac_tick_demands"
    __table_args__ = (UniqueConstraint("tick_id", "source"), MARIADB_OPTIONS)

    id: Mapped[Id]
    tick_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_ticks.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(190))
    task_queues: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    observed_at: Mapped[OptionalTime]
    unmatched: Mapped[int] = mapped_column(BigId, default=0)
    error: Mapped[str] = mapped_column(LongText, default="")


class OfferRow(Base):
    """What VMs of a (pod, endpoint) offered when a decision was taken; one row for all decisions with the same."""

    __tablename__ = "vmdirac_offers"
    __table_args__ = (MARIADB_OPTIONS,)

    id: Mapped[Id]
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    offer: Mapped[dict[str, Any]] = mapped_column(JSON)


class DecisionRow(Base):
    """What one tick decided for one (pod, endpoint), and what became of it.

    ``demand_age``: seconds since the job source had looked at the demand. ``offer_id`` is None where nothing could be
    offered.
    """

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
    offer_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("vmdirac_offers.id"))
    jobs: Mapped[int] = mapped_column(BigId)
    waiting_cpu: Mapped[int] = mapped_column(BigId)
    demand_age: Mapped[float | None] = mapped_column(Double)
    active: Mapped[int]
    in_flight: Mapped[int]
    warranted: Mapped[int]
    planned: Mapped[int]
    launched: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    clipped_by: Mapped[ReasonCode | None] = mapped_column(Enumerated(ReasonCode))
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
