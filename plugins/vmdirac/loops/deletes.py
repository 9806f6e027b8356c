"""The part of reconciling that asks for deletes, once it is committed to which."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.loops.orphans import note_deletes_of_orphans
from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import TerminateOutcome
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import CloudError, ThrottleError, TransientError
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.policy.backoff import needs_a_person
from vmdirac.store import alerts, instances
from vmdirac.store.changes import Change, change_all
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

MOST_RAISED: Final = 16
"""So often a driver may raise in one pass: enough to find one or two VMs among hundreds."""

SEARCH_TIME: Final = timedelta(minutes=1)
"""After this no more is asked of a driver that has raised: other endpoints wait for the end of the pass."""

EVIDENCE_FOR = frozenset({StopReason.BOOT_DEADLINE, StopReason.CONTEXT_FAILED, StopReason.STALLED, StopReason.DIED})
"""Reasons to stop a VM for which its console output is kept."""

EVIDENCE_TIME = timedelta(minutes=1)
"""How long consoles are read before deletes are asked for. When many VMs die at once their consoles often are the worse
for it too, and a pass that waited for each of them would end before it has deleted anything."""

EVIDENCE_CHARACTERS = 256 * 1024
"""How much of it is kept: its end. A VM can write as much as it likes."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is to be deleted: VMs of instances (by the instances' ids), second VMs of instances, and VMs that no
    instance knows (both by cloud id)."""

    instances: Sequence[int]
    duplicates: Sequence[str]
    orphans: Sequence[str]


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """How many deletes the cloud took, how many it did not, and how many of those that it took were of orphans."""

    asked: int = 0
    failed: int = 0
    orphans: int = 0


def delete(store: Store, cloud: Cloud, endpoint: str, doomed: Doomed, clock: Callable[[], datetime]) -> DeleteReport:
    """Ask for all of them in one call, and record what the cloud said of each."""
    with store.read() as session:
        known = instances.get_all(session, doomed.instances)
    if not known and not doomed.duplicates and not doomed.orphans:
        return DeleteReport()
    _keep_evidence(store, cloud, known, clock)
    ids = {item.cloud_id: item.id for item in known if item.cloud_id is not None}
    outcomes = _terminate(cloud, [*ids, *doomed.duplicates, *doomed.orphans], clock)
    of_orphans = [outcome for outcome in outcomes if outcome.cloud_id in set(doomed.orphans)]
    store.transact(lambda session: _note_deletes(session, ids, outcomes, clock()))
    if of_orphans:
        store.transact(lambda session: note_deletes_of_orphans(session, endpoint, of_orphans, clock()))
    failed = [(outcome.cloud_id, outcome.error) for outcome in outcomes if outcome.error is not None]
    for cloud_id, error in failed:
        log.warning("VM %s could not be deleted: %s: %s", cloud_id, error.kind, error)
    return DeleteReport(
        asked=len(outcomes) - len(failed),
        failed=len(failed),
        orphans=sum(outcome.error is None for outcome in of_orphans),
    )


def _terminate(cloud: Cloud, cloud_ids: Sequence[str], clock: Callable[[], datetime]) -> list[TerminateOutcome]:
    """What the cloud said of each that it was asked for, also where its driver raises for some, which it is not to do.

    Then they are asked for again in halves, down to those that it raises for: the others go in the same pass. What is
    asked for twice is done once. Where it goes on raising, or takes long, the rest is left to the next pass, which
    begins without those that were found: they have a pause.
    """
    outcomes: list[TerminateOutcome] = []
    parts, raised, end = [cloud_ids], 0, clock() + SEARCH_TIME
    while parts and raised < MOST_RAISED and (not raised or clock() < end):
        part = parts.pop()
        try:
            outcomes += cloud.terminate(part)
        except ThrottleError as error:
            # It is none of them, and each call more makes it worse.
            log.error("no VMs can be deleted now: %s", error)
            parts.append(part)
            break
        except Exception as error:  # noqa: BLE001 - whatever a driver raises
            raised += 1
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
            else:
                outcomes.append(TerminateOutcome(part[0], _typed(error, part[0])))
    if left := sum(map(len, parts)):
        log.error("%s deletes are left to the next pass", left)
    return outcomes


def _typed(error: Exception, cloud_id: str) -> CloudError:
    if isinstance(error, CloudError):
        return error
    # Where, and not what: a message may quote anything that was sent.
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("the driver raised %s when VM %s was to be deleted:\n%s", type(error).__name__, cloud_id, where)
    return TransientError(f"{type(error).__name__} in the driver, see the task's log")


def _note_deletes(
    session: Session, ids: Mapping[str, int], outcomes: Sequence[TerminateOutcome], now: datetime
) -> None:
    errors = {ids[outcome.cloud_id]: outcome.error for outcome in outcomes if outcome.cloud_id in ids}
    # Read anew, under their locks: a VM that was told to end may have said good-bye while the cloud was asked.
    there = instances.get_all(session, list(errors), lock=True)
    stopping = [item for item in there if item.status is InstanceStatus.STOPPING]
    changes = [
        _refused(item, error, now) if (error := errors[item.id]) is not None else _taken(item, now) for item in stopping
    ]
    change_all(session, changes, now)
    for item in stopping:
        if needs_a_person(item.delete_attempts):
            _alert(session, item, errors[item.id], now)


def _alert(session: Session, item: Instance, error: CloudError | None, now: datetime) -> None:
    why = error or "the cloud takes them, and the VM is still there"
    message = (
        f"its VM {item.cloud_id} on {item.endpoint} must be deleted by hand, {item.delete_attempts} tries were in vain:"
        f" {why}"
    )
    alerts.raise_alert(session, AlertKind.NEEDS_A_PERSON, f"instance {item.id}", message, now)


def _taken(item: Instance, now: datetime) -> Change:
    return Change(item, "the cloud took the delete", values={"delete_asked_at": now, "delete_failed_at": None})


def _refused(item: Instance, error: CloudError, now: datetime) -> Change:
    message, tries = str(error), item.delete_attempts
    if needs_a_person(tries):
        message = f"needs a person: {tries} deletes failed: {error}"
    return Change(
        item,
        f"the delete failed and will be asked for again: {error}",
        values={"error_kind": error.kind, "error_message": message, "delete_failed_at": now},
    )


def _keep_evidence(store: Store, cloud: Cloud, doomed: Sequence[Instance], clock: Callable[[], datetime]) -> None:
    """Keep the console output of VMs that failed. Their deletion does not wait for a console that cannot be read."""
    end = clock() + EVIDENCE_TIME
    for item in doomed:
        if item.stop_reason not in EVIDENCE_FOR or item.cloud_id is None:
            continue
        console = _console(cloud, item, item.cloud_id, in_time=clock() < end)
        if console:
            store.transact(partial(instances.note_seen, seen=[{"id": item.id, "console": console}]))


def _console(cloud: Cloud, item: Instance, cloud_id: str, *, in_time: bool) -> str:
    """What is to be kept; empty: nothing, what there is already stays."""
    if in_time:
        try:
            # A VM that was deleted before, in vain, may have none any more.
            return cloud.console(cloud_id)[-EVIDENCE_CHARACTERS:]
        except Exception as error:  # noqa: BLE001 - whatever a driver raises
            why = str(error)
    else:
        why = "those of other VMs took too long"
    # What the first try to delete it has kept is better than a word that it cannot be had any more.
    return f"(the console could not be read: {why})" if item.delete_attempts <= 1 else ""
