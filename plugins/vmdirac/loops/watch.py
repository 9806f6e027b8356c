"""Keeps the alerts true that no other loop sees to."""

from __future__ import annotations

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.states import ImageStatus
from vmdirac.policy.watch import WATCHED, findings
from vmdirac.store import alerts, endpoints, orphans, pods
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


def watch(store: Store, now: datetime) -> int:
    """Raise alerts for all that is wrong, and end those for what is not wrong any more; how many are open."""

    def work(session: Session) -> int:
        found = findings(
            endpoints.holds(session, now),
            {row.name: row.error_message for row in pods.all_images(session) if row.status is ImageStatus.ERROR},
            orphans.everywhere(session),
        )
        for (kind, subject), message in sorted(found.items()):
            alerts.raise_alert(session, kind, subject, message, now)
        for kind in sorted(WATCHED):
            alerts.end_others(session, kind, [subject for other, subject in found if other is kind], now)
        return len(alerts.open_alerts(session))

    count = store.transact(work)
    log.info("%s alerts", count)
    return count
