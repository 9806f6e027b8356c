from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, OptionalTime, Time


class InstallationRow(Base):
    """The one row that says who we are: every VM of ours carries ``installation_id`` as a tag.

    ``served_at``: when the manager last said that it serves VMs; ``hearing_since``: since when it has been doing so
    without a pause. Silence is never counted from before it.
    """

    __tablename__ = "vmdirac_installation"
    __table_args__ = (MARIADB_OPTIONS,)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    installation_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[Time]
    hearing_since: Mapped[OptionalTime]
    served_at: Mapped[OptionalTime]
