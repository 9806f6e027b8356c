from __future__ import annotations

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, Id, LongText, OptionalTime, Time


class OrphanRow(Base):
    """A VM that carries our tag and that no instance knows; see :class:`vmdirac.model.orphan.Orphan`. Its row goes when
    no list shows it any more."""

    __tablename__ = "vmdirac_orphans"
    __table_args__ = (UniqueConstraint("endpoint", "cloud_id"), MARIADB_OPTIONS)

    id: Mapped[Id]
    endpoint: Mapped[str] = mapped_column(String(190))
    cloud_id: Mapped[str] = mapped_column(String(255))
    token: Mapped[str] = mapped_column(String(255), index=True)
    name: Mapped[str] = mapped_column(String(255), default="")
    first_seen: Mapped[Time]
    last_seen: Mapped[Time]
    called_at: Mapped[OptionalTime]
    delete_attempts: Mapped[int] = mapped_column(default=0)
    delete_failed_at: Mapped[OptionalTime]
    message: Mapped[str] = mapped_column(LongText, default="")
