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
    verdict = judge(strangers, orphans.of_endpoint(session, endpoint), listed, began, now)
    loose = [seen for seen in strangers if not seen.kept]
    for gone in orphans.note_seen(session, endpoint, loose, began):
        if needs_a_person(gone.delete_attempts):
            alerts.end_alert(session, AlertKind.NEEDS_A_PERSON, _subject(endpoint, gone.cloud_id), now)
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
    known = orphans.of_endpoint(session, endpoint)
    for outcome in outcomes:
        error = None if outcome.error is None else f"{outcome.error.kind}: {outcome.error}"
        orphans.note_delete(session, endpoint, outcome.cloud_id, error, now)
        before = known.get(outcome.cloud_id)
        tries = before.delete_attempts + 1 if before is not None else 1
        if needs_a_person(tries):
            message = f"{tries} deletes were in vain: {error or 'the cloud takes them, and the VM is still there'}"
            alerts.raise_alert(session, AlertKind.NEEDS_A_PERSON, _subject(endpoint, outcome.cloud_id), message, now)


def _subject(endpoint: str, cloud_id: str) -> str:
    return f"VM {cloud_id} of {endpoint}"
