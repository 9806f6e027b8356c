"""The part of reconciling that deals with VMs that carry our tag and that no instance knows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import KEEP_TAG, CloudInstance, TerminateOutcome
from vmdirac.policy.backoff import needs_a_person
from vmdirac.policy.orphans import judge
from vmdirac.store import alerts, orphans

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Judged:
    """The cloud ids of orphans that are to be deleted. ``alarm``: there are too many to believe it."""

    delete: Sequence[str]
    alarm: bool


def judge_strangers(
    session: Session, endpoint: str, strangers: Sequence[CloudInstance], listed: int, began: datetime, now: datetime
) -> Judged:
    """Remember the VMs that no instance knows, and decide about them.

    :param listed: all VMs in the complete list that showed them, which was begun at ``began``.
    """
    known = orphans.of_endpoint(session, endpoint)
    verdict = judge(strangers, known, listed, began, now)
    loose = [seen for seen in strangers if not seen.kept]
    orphans.note_seen(session, endpoint, loose, began)
    there = {seen.cloud_id for seen in loose}
    for orphan in known.values():
        if orphan.cloud_id not in there and needs_a_person(orphan.delete_attempts):
            alerts.end_alert(session, AlertKind.NEEDS_A_PERSON, _subject(endpoint, orphan.cloud_id), now)
    for seen in verdict.mark:
        log.warning("VM %s (%r) carries our tag, but no instance knows it", seen.cloud_id, seen.name)
    if verdict.alarm:
        message = (
            f"{len(loose)} of {listed} VMs carry our tag and are unknown: is this database older than they are? None of"
            f" them is deleted; tag those that are to stay with {KEEP_TAG}"
        )
        alerts.raise_alert(session, AlertKind.ORPHANS, endpoint, message, now)
    else:
        alerts.end_alert(session, AlertKind.ORPHANS, endpoint, now)
    return Judged([orphan.cloud_id for orphan in verdict.delete], alarm=verdict.alarm)


def note_deletes_of_orphans(
    session: Session, endpoint: str, outcomes: Sequence[TerminateOutcome], now: datetime
) -> None:
    """Keep what became of the deletes that were asked for."""
    errors = {item.cloud_id: "" if item.error is None else f"{item.error.kind}: {item.error}" for item in outcomes}
    orphans.note_deletes(session, endpoint, errors, now)
    for orphan in orphans.of_endpoint(session, endpoint).values():
        if orphan.cloud_id in errors and needs_a_person(orphan.delete_attempts):
            why = errors[orphan.cloud_id] or "the cloud takes them, and the VM is still there"
            message = f"{orphan.delete_attempts} deletes were in vain: {why}"
            alerts.raise_alert(session, AlertKind.NEEDS_A_PERSON, _subject(endpoint, orphan.cloud_id), message, now)


def _subject(endpoint: str, cloud_id: str) -> str:
    return f"VM {cloud_id} of {endpoint}"
