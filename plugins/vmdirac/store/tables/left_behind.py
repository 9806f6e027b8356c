from __future__ import annotations

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, BigId, Content, Id, LongText, Name, Time


class InstanceLogRow(Base):
    """The last of what the agent on a VM said of itself, which it sent before its end."""

    __tablename__ = "vmdirac_instance_logs"
    __table_args__ = (MARIADB_OPTIONS,)

    instance_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("vmdirac_instances.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    at: Mapped[Time]
    content: Mapped[bytes] = mapped_column(Content)


class JobUploadRow(Base):
    """A file of a job that its VM put somewhere else than here: ``location`` says where."""

    __tablename__ = "vmdirac_job_uploads"
    __table_args__ = (UniqueConstraint("job_id", "name"), MARIADB_OPTIONS)

    id: Mapped[Id]
    job_id: Mapped[int] = mapped_column(BigId, ForeignKey("vmdirac_jobs.id", ondelete="CASCADE"))
    name: Mapped[Name]
    location: Mapped[str] = mapped_column(LongText)
    size: Mapped[int] = mapped_column(BigId)
    at: Mapped[Time]
