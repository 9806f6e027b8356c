"""A VM that carries our tag and that no instance knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Orphan:
    """What is remembered of such a VM from one list to the next.

    :param first_seen: when a list first showed it without an instance; ``last_seen``: when one last did.
    :param called_at: when it last called in; ``None``: it never did.
    :param delete_attempts: how often its deletion was asked for; ``delete_failed_at``: when that last failed.
    """

    endpoint: str
    cloud_id: str
    token: str
    first_seen: datetime
    last_seen: datetime
    called_at: datetime | None = None
    delete_attempts: int = 0
    delete_failed_at: datetime | None = None
