"""One pass over one endpoint: list the cloud, compare with our rows, correct both.

The order is the correctness: the cloud is listed first and the rows are read afterwards, so a VM that was launched
while the list was on its way is a row that changed after the list began, and is left alone (invariant 4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.loops.corrections import Corrections, ReconcileReport
from vmdirac.loops.deletes import Doomed, delete
from vmdirac.loops.ends import learn_from_ends
from vmdirac.loops.mass_absence import is_believed
from vmdirac.loops.orphans import judge_strangers
from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import CloudInstance, is_launch_token
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import CloudError
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.policy import reconcile as decide
from vmdirac.policy.backoff import needs_a_person
from vmdirac.policy.mass_absence import mass_absence, without_absences
from vmdirac.policy.stop import was_our_decision
from vmdirac.store import alerts, endpoints, installation, instances, lost_jobs, ticks
from vmdirac.store.changes import change_those_that_can_be
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


def reconcile(
    store: Store,
    cloud: Cloud,
    endpoint: str,
    deadlines: Callable[[Instance], Deadlines],
    clock: Callable[[], datetime],
) -> ReconcileReport:
    """Reconcile one endpoint.

    :raises CloudError: if the list could not be completed; then nothing was concluded, and nothing changed but the
        note of the error.
    """
    began = clock()
    try:
        listed = list(cloud.instances())
    except CloudError as error:
        message = f"{error.kind}: {error}"
        store.transact(lambda session: _note_list_error(session, endpoint, message, clock()))
        raise
    work, orphans = store.transact(lambda session: _compare(session, endpoint, listed, deadlines, began, clock()))
    deleted = delete(store, cloud, endpoint, Doomed(work.deletes, work.duplicates, orphans), clock)
    work.report.delete_asked, work.report.delete_failed = deleted.asked, deleted.failed
    work.report.orphans_deleted = deleted.orphans
    log.info("%s: %s", endpoint, work.report)
    return work.report


def _note_list_error(session: Session, endpoint: str, message: str, now: datetime) -> None:
    endpoints.note_endpoints(session, [endpoint], now)
    session.flush()
    endpoints.note_list_error(session, endpoint, message, now)


def _compare(
    session: Session,
    endpoint: str,
    listed: Sequence[CloudInstance],
    deadlines: Callable[[Instance], Deadlines],
    began: datetime,
    now: datetime,
) -> tuple[Corrections, list[str]]:
    """Correct the rows, and say what is to be deleted: what is collected in the corrections, and orphans."""
    work = Corrections(now)
    hearing = installation.hearing_since(session, now)
    rows = instances.unfinished(session, endpoint)
    # A launch that was refused, or given up, may have made a VM after all.
    strays = {seen.token for seen in listed if is_launch_token(seen.token)} - {row.launch_token for row in rows}
    rows += instances.refused(session, endpoint, strays)
    actions = decide.reconcile(rows, listed, deadlines, began, hearing, now)
    if not is_believed(session, endpoint, mass_absence(rows, listed, began), now):
        actions = without_absences(actions)
    for action in actions:
        work.collect(action)
    _change(session, endpoint, work)
    _let_others_keep_theirs(session, endpoint, work)
    instances.note_seen(session, work.seen)
    instances.note_absent(session, work.absent)
    endpoints.release_capacity(session, endpoint, work.found_room)
    work.report.listed = len(listed)
    judged = judge_strangers(session, endpoint, work.strangers, len(listed), began, now)
    work.report.alarm = judged.alarm
    endpoints.note_endpoints(session, [endpoint], began)
    session.flush()
    endpoints.note_list(session, endpoint, began, len(listed), work.report.unknown)
    return work, list(judged.delete)


def _let_others_keep_theirs(session: Session, endpoint: str, work: Corrections) -> None:
    """VMs of instances of another endpoint are no strangers: two connections may lead to one account, and one that got
    another name has left its VMs with the old one."""
    tokens = {seen.token for seen in work.strangers if is_launch_token(seen.token)}
    if tokens:
        theirs = instances.known_elsewhere(session, endpoint, tokens)
        strangers = [seen for seen in work.strangers if seen.token not in theirs]
        work.report.unknown -= len(work.strangers) - len(strangers)
        work.strangers = strangers


def _change(session: Session, endpoint: str, work: Corrections) -> None:
    """Make the changes, and then what follows from those that were made.

    A VM's id may be in the row of a VM that is long gone: then the others go on, and a person has to look.
    """
    changed, refused = change_those_that_can_be(session, list(work.changes.values()), work.now)
    for change in refused:
        cloud_id, id_ = change.values.get("cloud_id"), change.instance.id
        log.error("VM %s has the id of another instance, or one too long: instance %s cannot have it", cloud_id, id_)
        work.report.unknown += 1
    for id_ in sorted(changed):
        work.was_made(id_)
    # Instances first, then jobs, as a VM's own calls lock them.
    decided = [item.id for item in work.lost if was_our_decision(item.stop_reason, forced=item.forced)]
    lost_jobs.release(session, [item.id for item in work.lost], "lost", work.now, decided)
    subjects = [f"instance {item.id}" for item in work.lost]
    alerts.end_alerts(session, AlertKind.SUSPICIOUS, subjects, work.now)
    for item in work.lost:
        if needs_a_person(item.delete_attempts):
            alerts.end_alert(session, AlertKind.NEEDS_A_PERSON, f"instance {item.id}", work.now)
    if work.lost:
        endpoints.release_quota(session, endpoint, work.now)
    for (tick_id, pod), number in sorted(work.made.items(), key=str):
        ticks.count_launch(session, tick_id, pod, endpoint, launched=number, failed=0)
    learn_from_ends(session, work.ends, work.now)
