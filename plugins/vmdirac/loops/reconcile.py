"""One pass over one endpoint: list the cloud, compare with our rows, correct both.

The order is the correctness: the cloud is listed first and the rows are read afterwards, so a VM that was launched
while the list was on its way is a row that changed after the list began, and is left alone (invariant 4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from vmdirac.loops.deletes import Doomed, delete
from vmdirac.loops.orphans import judge_strangers
from vmdirac.model.cloud import CloudInstance, is_launch_token
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import CloudError
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import BOOTING, DrainPhase, InstanceStatus, StopReason
from vmdirac.policy import reconcile as decide
from vmdirac.store import boots, endpoints, instances, leases, ticks
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


@dataclass(slots=True)
class ReconcileReport:
    """What one pass found and did."""

    listed: int = 0
    adopted: int = 0
    gone: int = 0
    delete_asked: int = 0
    delete_failed: int = 0
    launch_again: int = 0
    unknown: int = 0
    orphans_deleted: int = 0


@dataclass(slots=True)
class _Pass:
    """What is collected while the actions are applied, to be done at once at the end."""

    seen: list[dict[str, Any]] = field(default_factory=list)
    absent: list[Instance] = field(default_factory=list)
    deletes: list[int] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    strangers: list[CloudInstance] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    report: ReconcileReport = field(default_factory=ReconcileReport)


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
    work = store.transact(lambda session: _compare(session, endpoint, listed, deadlines, began, clock()))
    deleted = delete(store, cloud, endpoint, Doomed(work.deletes, work.duplicates, work.orphans), clock)
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
) -> _Pass:
    """Correct the rows, and say what is to be deleted."""
    work = _Pass()
    rows = instances.unfinished(session, endpoint)
    # A launch that was refused, or given up, may have made a VM after all.
    strays = {seen.token for seen in listed if is_launch_token(seen.token)} - {row.launch_token for row in rows}
    rows += instances.refused(session, endpoint, strays)
    for action in decide.reconcile(rows, listed, deadlines, began, now):
        _apply(session, action, work, now)
    _let_others_keep_theirs(session, endpoint, work)
    instances.note_seen(session, work.seen)
    instances.note_absent(session, work.absent)
    work.report.listed = len(listed)
    work.orphans = judge_strangers(session, endpoint, work.strangers, len(listed), began, now)
    endpoints.note_endpoints(session, [endpoint], began)
    session.flush()
    endpoints.note_list(session, endpoint, began, len(listed), work.report.unknown)
    return work


def _let_others_keep_theirs(session: Session, endpoint: str, work: _Pass) -> None:
    """VMs of instances of another endpoint are no strangers: two connections may lead to one account, and one that got
    another name has left its VMs with the old one."""
    tokens = {seen.token for seen in work.strangers if is_launch_token(seen.token)}
    if tokens:
        theirs = instances.known_elsewhere(session, endpoint, tokens)
        strangers = [seen for seen in work.strangers if seen.token not in theirs]
        work.report.unknown -= len(work.strangers) - len(strangers)
        work.strangers = strangers


def _apply(session: Session, action: decide.Action, work: _Pass, now: datetime) -> None:
    match action:
        case decide.Adopt(instance, seen):
            work.report.adopted += _if_its_id_is_free(session, instance, seen, work, partial(_adopt, now=now))
        case decide.Observe(instance, seen):
            work.seen.append(_observation(instance, seen, now))
        case decide.CountAbsence(instance):
            work.absent.append(instance)
        case decide.ConfirmGone(instance, seen):
            gone = _confirm_gone(session, instance, now)
            work.report.gone += gone
            # One that no list ever showed may merely never have been visible: that is no failure to boot.
            if gone and _never_booted(instance) and (seen is not None or instance.seen_at is not None):
                message = seen.message if seen is not None else ""
                boots.note_failure(session, instance, message or "it was gone before it called in", now)
        case decide.StopDead(instance, seen):
            reason = f"it is {seen.state} in the cloud {seen.message}".rstrip()
            if instances.change(
                session,
                instance,
                now,
                reason,
                to=InstanceStatus.STOPPING,
                forced=True,
                stop_reason=instance.stop_reason or StopReason.DIED,
                drain_phase=DrainPhase.DELETING,
                phase_since=now,
                delete_attempts=instance.delete_attempts + 1,
            ):
                work.deletes.append(instance.id)
                if _never_booted(instance):
                    boots.note_failure(session, instance, reason, now)
        case decide.LaunchAgain(instance):
            reason = "the cloud does not have it: it will be asked again"
            work.report.launch_again += instances.change(
                session, instance, now, reason, last_launch_at=None, absences=0
            )
        case decide.GiveUp(instance):
            reason = f"the cloud was asked {instance.launch_attempts} times and never made it"
            instances.change(
                session, instance, now, reason, to=InstanceStatus.ERROR, vm_gone=True, error_message=reason
            )
        case decide.Delete(instance):
            # Committed before the cloud is asked: from here on the stop cannot be taken back.
            if instances.change(
                session,
                instance,
                now,
                "it is to be deleted",
                drain_phase=DrainPhase.DELETING,
                phase_since=now,
                delete_attempts=instance.delete_attempts + 1,
            ):
                work.deletes.append(instance.id)
        case decide.TakeTwin(instance, seen, other):
            if _if_its_id_is_free(session, instance, seen, work, partial(_take_twin, other=other, now=now)):
                work.duplicates.append(other.cloud_id)
        case decide.DeleteDuplicate(instance, seen):
            log.warning("instance %s has a second VM, %s: it is deleted", instance.id, seen.cloud_id)
            work.duplicates.append(seen.cloud_id)
        case decide.Unknown(seen):
            work.strangers.append(seen)
            work.report.unknown += 1


def _never_booted(instance: Instance) -> bool:
    return instance.status in BOOTING and instance.registered_at is None


def _if_its_id_is_free(
    session: Session,
    instance: Instance,
    seen: CloudInstance,
    work: _Pass,
    take: Callable[[Session, Instance, CloudInstance], bool],
) -> bool:
    """Make the VM the instance's. Its id may be in the row of a VM that is long gone: then the others go on, and a
    person has to look."""
    try:
        with session.begin_nested():
            return take(session, instance, seen)
    except IntegrityError:
        log.error("VM %s has the id of another instance: instance %s cannot have it", seen.cloud_id, instance.id)
        work.report.unknown += 1
        return False


def _take_twin(session: Session, instance: Instance, seen: CloudInstance, other: CloudInstance, now: datetime) -> bool:
    reason = f"its VM is {seen.cloud_id}, which registered, and not {other.cloud_id}: that one is deleted"
    return instances.change(session, instance, now, reason, **_found(seen, now))


def _found(seen: CloudInstance, now: datetime) -> dict[str, Any]:
    """What a list tells of the VM that it found for an instance."""
    return {
        "cloud_id": seen.cloud_id,
        "absences": 0,
        "seen_at": now,
        "cloud_state": seen.state,
        "public_ip": seen.public_ip,
        "private_ip": seen.private_ip,
    }


def _adopt(session: Session, instance: Instance, seen: CloudInstance, now: datetime) -> bool:
    found = _found(seen, now)
    if instance.status is InstanceStatus.ERROR:
        reason = f"its VM was found after all: {seen.cloud_id}"
        return instances.change(
            session,
            instance,
            now,
            reason,
            to=InstanceStatus.STOPPING,
            forced=True,
            stop_reason=StopReason.LAUNCH_REFUSED,
            **found,
        )
    reason = f"found by its token and adopted: {seen.cloud_id}"
    if not instances.change(session, instance, now, reason, to=InstanceStatus.SUBMITTED, **found):
        return False
    ticks.count_launch(session, instance.tick_id, instance.pod, instance.endpoint, launched=1, failed=0)
    return True


def _observation(instance: Instance, seen: CloudInstance, now: datetime) -> dict[str, Any]:
    # An address that the cloud does not tell is not "none": the VM may have told its own.
    addresses = {"public_ip": seen.public_ip, "private_ip": seen.private_ip}
    told = {name: address for name, address in addresses.items() if address}
    return {"id": instance.id, "seen_at": now, "absences": 0, "cloud_state": seen.state, **told}


def _confirm_gone(session: Session, instance: Instance, now: datetime) -> bool:
    if instance.status is InstanceStatus.ERROR and instance.cloud_id is None:
        return instances.change(session, instance, now, "the cloud has no VM for it", vm_gone=True)
    reason = "the cloud says that it is gone"
    nothing: dict[str, Any] = {"jobs": 0, "busy_processors": 0, "load": 0.0}
    if not instances.change(session, instance, now, reason, to=InstanceStatus.HALTED, vm_gone=True, **nothing):
        return False
    leases.release(session, instance.id, "lost", now)
    endpoints.release_quota(session, instance.endpoint, now)
    return True
