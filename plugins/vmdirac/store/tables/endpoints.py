from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.model.hold import HoldKind
from vmdirac.store.tables.base import (
    MARIADB_OPTIONS,
    Base,
    Enumerated,
    Id,
    LongText,
    Name,
    OptionalTime,
    Time,
)


class EndpointRow(Base):
    """What is known of an endpoint. The tick locks this row while it counts the endpoint's instances.

    ``list_began_at``: when the last complete list of its VMs began; ``list_error``: why the one after it failed.
    ``limits``: of its account, as the cloud told them at ``limits_at``; ``limits_error``: why it did not the last time.
    """

    __tablename__ = "vmdirac_endpoints"
    __table_args__ = (MARIADB_OPTIONS,)

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    list_began_at: Mapped[OptionalTime]
    listed_vms: Mapped[int] = mapped_column(default=0)
    unknown_vms: Mapped[int] = mapped_column(default=0)
    list_error: Mapped[str] = mapped_column(LongText, default="")
    limits: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    limits_at: Mapped[OptionalTime]
    limits_error: Mapped[str] = mapped_column(LongText, default="")
    changed_at: Mapped[Time]


class HoldRow(Base):
    """Launches that are held after a failure; see :class:`vmdirac.model.hold.Hold`. Empty text: not narrowed.

    Of launches with an older configuration that fail late, the hold stands beside that of the present one.
    """

    __tablename__ = "vmdirac_holds"
    __table_args__ = (UniqueConstraint("endpoint", "pod", "flavor", "kind", "revision"), MARIADB_OPTIONS)

    id: Mapped[Id]
    endpoint: Mapped[str] = mapped_column(String(190))
    pod: Mapped[str] = mapped_column(String(190), default="")
    flavor: Mapped[str] = mapped_column(String(255), default="")
    kind: Mapped[HoldKind] = mapped_column(Enumerated(HoldKind))
    revision: Mapped[str] = mapped_column(String(16), default="")
    message: Mapped[str] = mapped_column(LongText)
    since: Mapped[Time]
    until: Mapped[Time]
    failures: Mapped[int]


class FlavorRow(Base):
    """Processors and memory of a flavor, as the endpoint's cloud last told them."""

    __tablename__ = "vmdirac_flavors"
    __table_args__ = (UniqueConstraint("endpoint", "flavor"), MARIADB_OPTIONS)

    id: Mapped[Id]
    endpoint: Mapped[Name]
    flavor: Mapped[Name]
    processors: Mapped[int]
    memory_mb: Mapped[int]
    asked_at: Mapped[Time]
