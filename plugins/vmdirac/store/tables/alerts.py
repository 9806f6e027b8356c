from __future__ import annotations

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.model.alert import AlertKind
from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, Enumerated, Id, LongText, OptionalTime, Time


class AlertRow(Base):
    """What a person has to look at; see :class:`vmdirac.model.alert.Alert`. It stays when it is over, as the last one
    of its kind and subject. ``told_at``, ``end_told_at``: when the last of those who are to know was told that it is
    there, and over; ``told_to``, ``end_told_to``: names of those who were told so far.
    """

    __tablename__ = "vmdirac_alerts"
    __table_args__ = (UniqueConstraint("kind", "subject"), MARIADB_OPTIONS)

    id: Mapped[Id]
    kind: Mapped[AlertKind] = mapped_column(Enumerated(AlertKind))
    subject: Mapped[str] = mapped_column(String(512))
    message: Mapped[str] = mapped_column(LongText)
    since: Mapped[Time]
    last_at: Mapped[Time]
    ended_at: Mapped[OptionalTime]
    told_at: Mapped[OptionalTime]
    end_told_at: Mapped[OptionalTime]
    told_to: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    end_told_to: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
