from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from vmdirac.model.ssh import HostKeySource
from vmdirac.store.tables.base import MARIADB_OPTIONS, Base, BigId, Enumerated, LongText, OptionalTime


class SshContextRow(Base):
    """How far the contextualization of one VM over ssh is, and by which host keys the VM is known.

    ``host_keys``: a list of objects with ``kind`` and ``fingerprint``. ``address``: where it was last looked for.
    ``message``: what the last visit that came to nothing ended with. ``output``: the end of what its script said.
    """

    __tablename__ = "vmdirac_ssh_contexts"
    __table_args__ = (MARIADB_OPTIONS,)

    instance_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("vmdirac_instances.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    host_keys: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    host_key_source: Mapped[HostKeySource | None] = mapped_column(Enumerated(HostKeySource))
    address: Mapped[str] = mapped_column(String(255), default="")
    tries: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    visited_at: Mapped[OptionalTime]
    begun_at: Mapped[OptionalTime]
    finished: Mapped[bool] = mapped_column(default=False)
    exit_status: Mapped[int | None]
    message: Mapped[str] = mapped_column(LongText, default="")
    output: Mapped[str] = mapped_column(LongText, default="")
