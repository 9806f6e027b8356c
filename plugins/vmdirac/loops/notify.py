"""Tells of alerts, each once when it is raised and once when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from vmdirac.model.alert import Alert
from vmdirac.store import alerts
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


def tell(store: Store, tellers: Sequence[Callable[[Alert], None]], now: datetime) -> list[str]:
    """Tell all of them of what is new; what failed, in words.

    What one of them could not tell is told again by the next run, by all of them: twice is better than never.
    """
    with store.read() as session:
        new = alerts.untold(session)
    failures: list[str] = []
    for alert in new:
        before = len(failures)
        for teller in tellers:
            try:
                teller(alert)
            except Exception as error:
                log.exception("an alert could not be told")
                failures.append(f"{alert.subject}: {type(error).__name__}: {error}")
        if len(failures) == before:
            store.transact(partial(alerts.note_told, alert=alert, now=now))
    return failures
