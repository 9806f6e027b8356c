"""Says where so many VMs fell silent together that none of them is given up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.alert import AlertKind
from vmdirac.policy.mass_silence import MassSilence, MassSilences
from vmdirac.store import alerts

EVERYWHERE = "all endpoints"


def note_mass_silences(session: Session, found: MassSilences, now: datetime) -> None:
    """Raise an alert for each of them, and end those of what is over."""
    silences = dict(found.endpoints)
    if found.everywhere is not None:
        silences[EVERYWHERE] = found.everywhere
    for subject, silence in silences.items():
        alerts.raise_alert(session, AlertKind.MASS_SILENCE, subject, _message(silence), now)
    alerts.end_others(session, AlertKind.MASS_SILENCE, silences, now)


def _message(silence: MassSilence) -> str:
    since = silence.since.isoformat(timespec="seconds")
    return (
        f"{silence.silent} of {silence.calling} VMs fell silent together, the first one at {since}: it is probably the"
        " network or the manager, so none of them is given up; stop by force those that are really lost"
    )
