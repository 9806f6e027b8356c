from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, BigId, Id, Name, OptionalTime, Time


class RefusalRow(Base):
    """How often calls for an instance were refused for one reason. ``instance_id`` 0: for none that there is, and
    calls that name none."""

    __tablename__ = "vmdirac_refusals"
    __table_args__ = (UniqueConstraint("instance_id", "reason"), MARIADB_OPTIONS)

    id: Mapped[Id]
    instance_id: Mapped[int] = mapped_column(BigId)
    reason: Mapped[str] = mapped_column(String(32))
    calls: Mapped[int] = mapped_column(BigId)
    first_at: Mapped[Time]
    last_at: Mapped[Time]


class CredentialHandoutRow(Base):
    """That an instance was given one version of a credential, when first and last, and how often. ``version`` tells
    versions apart, and nothing of what is in them."""

    __tablename__ = "vmdirac_credential_handouts"
    __table_args__ = (UniqueConstraint("instance_id", "name", "version"), Index(None, "last_at"), MARIADB_OPTIONS)

    id: Mapped[Id]
    instance_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_instances.id", ondelete="CASCADE"))
    pod: Mapped[Name]
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(32))
    expires_at: Mapped[OptionalTime]
    first_at: Mapped[Time]
    last_at: Mapped[Time]
    times: Mapped[int]
