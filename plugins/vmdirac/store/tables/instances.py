from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, CheckConstraint, Double, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.model.cloud import CloudState
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
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


class InstanceRow(Base):
    """One VM. ``(endpoint, cloud_id)`` is its identity, ``launch_token`` the identity of the wish for it.

    ``version`` counts the changes of what decisions are made from and is compared on every one of them; a heartbeat
    that changes no state only writes its measurements and leaves it alone.

    ``agent_sha256``: digest of the agent that it was launched with; empty for what was launched without one.

    ``halting_at``: when the VM said that it ends.

    ``requester``: the task that asked for this one VM (:class:`~vmdirac.model.one_off.Requester`), and the key by which
    it finds it again; null for VMs of pods; ``requester_try``: the number of its try that has the VM now. ``pod`` and
    ``image`` are empty then.
    """

    __tablename__ = "vmdirac_instances"
    __table_args__ = (
        UniqueConstraint("endpoint", "cloud_id"),
        UniqueConstraint("launch_token"),
        CheckConstraint("cloud_id <> ''", name="cloud_id_not_empty"),
        Index(None, "status", "endpoint"),
        Index(None, "pod", "status"),
        Index(None, "requester_key"),
        MARIADB_OPTIONS,
    )

    id: Mapped[Id]
    pod: Mapped[Name]
    image: Mapped[Name]
    endpoint: Mapped[Name]
    name: Mapped[Name]
    flavor: Mapped[str] = mapped_column(String(255), default="")
    max_allowed_price: Mapped[float | None] = mapped_column(Double)
    launch_token: Mapped[str] = mapped_column(String(64))
    cloud_id: Mapped[str | None] = mapped_column(String(255))
    tick_id: Mapped[int | None] = mapped_column(BigId)
    requester: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    requester_key: Mapped[str | None] = mapped_column(String(64))
    requester_try: Mapped[int | None]
    context_method: Mapped[str] = mapped_column(String(32), default="", server_default="")
    agent_sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")

    status: Mapped[InstanceStatus] = mapped_column(Enumerated(InstanceStatus))
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[Time]
    status_since: Mapped[Time]
    changed_at: Mapped[Time]

    request: Mapped[dict[str, Any]] = mapped_column(JSON)
    offer: Mapped[dict[str, Any]] = mapped_column(JSON)
    processors: Mapped[int]
    memory_mb: Mapped[int]
    heartbeat_period: Mapped[float] = mapped_column(Double)

    launch_attempts: Mapped[int] = mapped_column(default=0)
    last_launch_at: Mapped[OptionalTime]
    absences: Mapped[int] = mapped_column(default=0)
    seen_at: Mapped[OptionalTime]
    cloud_state: Mapped[CloudState | None] = mapped_column(Enumerated(CloudState))
    public_ip: Mapped[str] = mapped_column(String(64), default="")
    private_ip: Mapped[str] = mapped_column(String(64), default="")
    reported_ip: Mapped[str] = mapped_column(String(64), default="")

    secret_key_id: Mapped[str] = mapped_column(String(16))
    bootstrap_hash: Mapped[str] = mapped_column(String(64))
    nonce_hash: Mapped[str | None] = mapped_column(String(64))
    registered_at: Mapped[OptionalTime]
    suspicious: Mapped[bool] = mapped_column(default=False)
    halting_at: Mapped[OptionalTime]
    hostname: Mapped[str] = mapped_column(String(255), default="")
    agent_version: Mapped[str] = mapped_column(String(32), default="")

    heard_at: Mapped[OptionalTime]
    idle_since: Mapped[OptionalTime]
    jobs: Mapped[int] = mapped_column(default=0)
    busy_processors: Mapped[int] = mapped_column(default=0)
    load: Mapped[float] = mapped_column(Double, default=0.0)
    uptime: Mapped[float] = mapped_column(Double, default=0.0)
    transferred_files: Mapped[int] = mapped_column(BigId, default=0)
    transferred_bytes: Mapped[int] = mapped_column(BigId, default=0)

    drain_phase: Mapped[DrainPhase | None] = mapped_column(Enumerated(DrainPhase))
    phase_since: Mapped[OptionalTime]
    stop_reason: Mapped[StopReason | None] = mapped_column(Enumerated(StopReason))
    forced: Mapped[bool] = mapped_column(default=False)
    delete_attempts: Mapped[int] = mapped_column(default=0)
    delete_asked_at: Mapped[OptionalTime]
    delete_failed_at: Mapped[OptionalTime]
    vm_gone: Mapped[bool] = mapped_column(default=False)

    error_kind: Mapped[str | None] = mapped_column(String(32))
    error_message: Mapped[str] = mapped_column(LongText, default="")
    console: Mapped[str] = mapped_column(LongText, default="")


class HistoryRow(Base):
    """One change of an instance: where it went, why, and what it last reported. ``error_kind``: of the cloud's error
    that it tells of."""

    __tablename__ = "vmdirac_instance_history"
    __table_args__ = (Index(None, "instance_id", "id"), Index(None, "at"), MARIADB_OPTIONS)

    id: Mapped[Id]
    instance_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_instances.id", ondelete="CASCADE"))
    at: Mapped[Time]
    status: Mapped[InstanceStatus] = mapped_column(Enumerated(InstanceStatus))
    drain_phase: Mapped[DrainPhase | None] = mapped_column(Enumerated(DrainPhase))
    reason: Mapped[str] = mapped_column(LongText, default="")
    error_kind: Mapped[str | None] = mapped_column(String(32))
    load: Mapped[float] = mapped_column(Double, default=0.0)
    jobs: Mapped[int] = mapped_column(default=0)
    transferred_files: Mapped[int] = mapped_column(BigId, default=0)
    transferred_bytes: Mapped[int] = mapped_column(BigId, default=0)
