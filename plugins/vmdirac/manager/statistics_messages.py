"""What the page shows of how things went."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

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
    """Stays that ended since then. ``instances``: how many were looked at; ``complete``: whether these are all that
    anything happened to since then, else they are the newest of them."""

    phases: list[PhaseView]
    since: datetime
    instances: int
    complete: bool
    as_of: datetime
