"""Says where a list misses so many VMs that nothing is concluded from it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.alert import AlertKind
from vmdirac.policy.mass_absence import PATIENCE, MassAbsence
from vmdirac.store import alerts


def is_believed(session: Session, endpoint: str, found: MassAbsence | None, now: datetime) -> bool:
    """Whether what the endpoint's list does not show is gone. While it misses a mass an alert is raised, and it is not
    believed until that has lasted."""
    kind = AlertKind.MASS_ABSENCE
    if found is None:
        alerts.end_alert(session, kind, endpoint, now)
        return True
    message = (
        f"the cloud lists {found.missing} of {found.expected} VMs no more: until this has lasted ten minutes none of"
        " them is taken to be gone"
    )
    alerts.raise_alert(session, kind, endpoint, message, now)
    since = {alert.subject: alert.since for alert in alerts.open_of(session, kind)}
    return now - since[endpoint] > PATIENCE
