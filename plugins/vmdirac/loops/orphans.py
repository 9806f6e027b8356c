"""The part of reconciling that deals with VMs that carry our tag and that no instance knows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.model.cloud import KEEP_TAG, CloudInstance, TerminateOutcome
from vmdirac.policy.orphans import judge
from vmdirac.store import orphans

log = logging.getLogger(__name__)


def judge_strangers(
    session: Session, endpoint: str, strangers: Sequence[CloudInstance], listed: int, began: datetime, now: datetime
) -> list[str]:
    """Remember the VMs that no instance knows; the cloud ids of those that are to be deleted.

    :param listed: all VMs in the complete list that showed them, which was begun at ``began``.
    """
    verdict = judge(strangers, orphans.of_endpoint(session, endpoint), listed, began, now)
    loose = [seen for seen in strangers if not seen.kept]
    orphans.note_seen(session, endpoint, loose, began)
    for seen in verdict.mark:
        log.warning("VM %s (%r) carries our tag, but no instance knows it", seen.cloud_id, seen.name)
    if verdict.alarm:
        log.error(
            "%s: %s of %s VMs carry our tag and are unknown: is this database older than they are? None of them is"
            " deleted; tag those that are to stay with %s",
            endpoint,
            len(loose),
            listed,
            KEEP_TAG,
        )
    return [orphan.cloud_id for orphan in verdict.delete]


def note_deletes_of_orphans(
    session: Session, endpoint: str, outcomes: Sequence[TerminateOutcome], now: datetime
) -> None:
    """Keep what became of the deletes that were asked for."""
    errors = {item.cloud_id: "" if item.error is None else f"{item.error.kind}: {item.error}" for item in outcomes}
    orphans.note_deletes(session, endpoint, errors, now)
