"""Tells of alerts, each once when it is raised and once when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from vmdirac.model.alert import Alert
from vmdirac.store import alerts
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


def tell(store: Store, tellers: Mapping[str, Callable[[Alert], None]], now: datetime) -> list[str]:
    """Tell all of them of what is new; what failed, in words.

    What one of them could not tell it is told again by the next run, and the others are not: who was told is kept. If
    this dies in between, those who were told last are told again: twice is better than never.

    :param tellers: by their names, which stay the same from run to run.
    """
    with store.read() as session:
        new = alerts.untold(session)
    failures: list[str] = []
    for item in new:
        audience = item.audience(tellers)
        told = [name for name in audience if _told(tellers[name], item.alert, failures)]
        everybody = len(told) == len(audience)
        if told or everybody:
            store.transact(
                partial(
                    alerts.note_told,
                    alert=item.alert,
                    told_to=item.told_to.union(told),
                    now=now,
                    all_told=everybody,
                )
            )
    return failures


def _told(teller: Callable[[Alert], None], alert: Alert, failures: list[str]) -> bool:
    try:
        teller(alert)
    except Exception as error:
        log.exception("an alert could not be told")
        failures.append(f"{alert.subject}: {type(error).__name__}: {error}")
        return False
    return True
