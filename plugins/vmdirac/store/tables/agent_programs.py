from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, Content, Time


class AgentProgramRow(Base):
    """One version of the agent, by its digest. ``used_at``: when a VM was last launched with it, or an API server that
    serves it last began."""

    __tablename__ = "vmdirac_agent_programs"
    __table_args__ = (MARIADB_OPTIONS,)

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[bytes] = mapped_column(Content)
    used_at: Mapped[Time]
