from __future__ import annotations

from datetime import date

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.model.states import ImageStatus, RunningPodStatus
from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, Enumerated, Id, LongText, Name, OptionalTime, Time


class ImageRow(Base):
    """An image that a pod has used: Validated by the first heartbeat of one of its instances.

    ``definition``: the revision that all this is said of; with another one it is New again. ``failures``: how often its
    VMs did not boot before one ever did, counted as breakers count (a burst is one); ``failed_on``: by endpoint.
    ``endpoints``: where pods would run it.
    """

    __tablename__ = "vmdirac_images"
    __table_args__ = (MARIADB_OPTIONS,)

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    status: Mapped[ImageStatus] = mapped_column(Enumerated(ImageStatus))
    changed_at: Mapped[Time]
    definition: Mapped[str] = mapped_column(String(16), default="")
    defined_at: Mapped[Time]
    failures: Mapped[int] = mapped_column(default=0)
    failed_at: Mapped[OptionalTime]
    failed_on: Mapped[dict[str, int] | None] = mapped_column(JSON)
    endpoints: Mapped[list[str] | None] = mapped_column(JSON)
    error_message: Mapped[str] = mapped_column(LongText, default="")


class RunningPodRow(Base):
    """A running pod that was configured. The tick locks this row while it counts the pod's instances."""

    __tablename__ = "vmdirac_running_pods"
    __table_args__ = (MARIADB_OPTIONS,)

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)
    status: Mapped[RunningPodStatus] = mapped_column(Enumerated(RunningPodStatus))
    campaign_start: Mapped[date | None]
    campaign_end: Mapped[date | None]
    changed_at: Mapped[Time]
    error_message: Mapped[str] = mapped_column(LongText, default="")
