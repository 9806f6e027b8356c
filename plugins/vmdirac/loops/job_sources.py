"""Where demand is read from, by name."""

from __future__ import annotations

from datetime import datetime

from vmdirac.model.contracts import JobSource
from vmdirac.store.database import Store
from vmdirac.store.queue import EmbeddedJobSource

EMBEDDED = "embedded"


def job_sources(store: Store, now: datetime) -> dict[str, JobSource]:
    """All job sources that are read in a tick."""
    return {EMBEDDED: EmbeddedJobSource(store, now)}
