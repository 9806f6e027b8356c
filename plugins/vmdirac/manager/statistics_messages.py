"""What the page shows of how things went."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from vmdirac.model.event import EventKind
from vmdirac.model.phase import Phase


class PhaseView(BaseModel):
    """How long VMs of a pod on an endpoint stayed in a phase, in seconds: half of the stays were not longer than
    ``p50``. ``pod`` is empty for VMs of tasks."""

    pod: str
    endpoint: str
    phase: Phase
    count: int
    p50: float
    p90: float
    p99: float


class Phases(BaseModel):
    """Stays that ended since then. ``instances``: how many were looked at; ``complete``: whether these are all that are
    kept, else they are the newest of them."""

    phases: list[PhaseView]
    since: datetime
    instances: int
    complete: bool
    as_of: datetime


class TotalView(BaseModel):
    """How much of something happened. ``what``, ``seconds``: see :class:`~vmdirac.model.event.EventKind`."""

    model_config = ConfigDict(from_attributes=True)

    kind: EventKind
    what: str
    count: int
    seconds: float


class Totals(BaseModel):
    """What happened since the beginning of the hour of ``since``."""

    totals: list[TotalView]
    since: datetime
    as_of: datetime


class SizeView(BaseModel):
    """How many rows a table has."""

    table: str
    rows: int


class Sizes(BaseModel):
    """Our tables, the largest first, as they were counted last; ``counted_at``: ``None``: they never were."""

    tables: list[SizeView]
    counted_at: datetime | None
    as_of: datetime
