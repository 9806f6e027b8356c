"""Says where so many VMs fell silent together that none of them is given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from vmdirac.model.alert import AlertKind
from vmdirac.model.instance import Instance
from vmdirac.policy.mass_silence import NO_MASS, MassSilence, MassSilences, mass_silences
from vmdirac.store import alerts, instances

EVERYWHERE = "all endpoints"


def find_mass_silences(
    session: Session, everything: Sequence[Instance], hearing_since: datetime | None, now: datetime
) -> MassSilences:
    """Look for them among these instances."""
    if hearing_since is None:
        return NO_MASS
    # One without an agent never calls in.
    callers = [item for item in everything if not item.one_off]
    return mass_silences(callers, _ended(session, callers, now), hearing_since, now)


def _ended(session: Session, callers: Sequence[Instance], now: datetime) -> Mapping[str, Sequence[datetime]]:
    """Last calls of VMs that have ended, as far back as any of these was last heard of, or a day."""
    heard = [item.heard_at for item in callers if item.heard_at is not None]
    return instances.last_calls_of_ended(session, max(min(heard), now - timedelta(days=1))) if heard else {}


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
