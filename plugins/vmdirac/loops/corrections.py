"""What the actions of a pass are to do to the rows, collected so that it can be done for all of them at once."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from vmdirac.loops.ends import End
from vmdirac.model.cloud import CloudInstance, CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.policy import reconcile as decide
from vmdirac.store.changes import Change

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
    interrupted: int = 0
    unknown: int = 0
    orphans_deleted: int = 0
    alarm: bool = False


def _nothing() -> None:
    """What follows from most changes."""


@dataclass(slots=True)
class Corrections:
    """What is to be done in one pass over an endpoint.

    :param now: the time that everything is done at.
    :param changes: what is to become of instances, by their ids, if they still are what they were.
    :param seen: what is to be written of VMs that are there, whatever their rows are now.
    :param absent: instances whose VMs were looked for in vain.
    :param lost: instances whose VMs are gone, and the jobs with them.
    :param ends: VMs whose end says something about launches to come.
    :param made: launches that were found to have made their VMs, by tick and pod.
    :param deletes: instances whose VMs the cloud is to be asked to delete.
    :param duplicates: cloud ids of second VMs of instances, to be deleted too.
    :param strangers: VMs that no instance knows.
    :param found_room: when the last VM of each flavor that runs was launched.
    """

    now: datetime
    changes: dict[int, Change] = field(default_factory=dict)
    seen: list[dict[str, Any]] = field(default_factory=list)
    absent: list[Instance] = field(default_factory=list)
    lost: list[Instance] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    made: Counter[tuple[int | None, str]] = field(default_factory=Counter)
    deletes: list[int] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    strangers: list[CloudInstance] = field(default_factory=list)
    found_room: dict[str, datetime] = field(default_factory=dict)
    report: ReconcileReport = field(default_factory=ReconcileReport)
    _then: dict[int, Callable[[], object]] = field(default_factory=dict)

    def was_made(self, instance_id: int) -> None:
        """The change of the instance was made: collect what follows from it."""
        self._then[instance_id]()

    def collect(self, action: decide.Action) -> None:
        """Add what an action asks for."""
        match action:
            case decide.Adopt(instance, seen):
                self._adopt(instance, seen)
            case decide.Observe(instance, seen):
                self.seen.append(self._observation(instance, seen))
                if seen.state is CloudState.RUNNING:
                    before = self.found_room.get(instance.flavor, instance.launched_at)
                    self.found_room[instance.flavor] = max(before, instance.launched_at)
            case decide.SeenRunning(instance):
                self._change(instance, "it runs, says the cloud", to=InstanceStatus.RUNNING)
            case decide.CountAbsence(instance):
                self.absent.append(instance)
            case decide.ConfirmGone(instance, seen):
                self._confirm_gone(instance, seen)
            case decide.StopDead(instance, seen):
                self._stop_dead(instance, seen)
            case decide.Interrupt(instance, seen):
                self._interrupt(instance, seen)
            case decide.LaunchAgain(instance):
                self._launch_again(instance)
            case decide.GiveUp(instance):
                reason = f"the cloud was asked {instance.launch_attempts} times and never made it"
                self._change(instance, reason, to=InstanceStatus.ERROR, vm_gone=True, error_message=reason)
            case decide.Delete(instance):
                self._delete(instance)
            case decide.TakeTwin(instance, seen, other):
                self._take_twin(instance, seen, other)
            case decide.DeleteDuplicate(instance, seen):
                self._delete_duplicate(instance, seen)
            case decide.Unknown(seen):
                self.strangers.append(seen)
                self.report.unknown += 1

    def _change(
        self,
        instance: Instance,
        reason: str,
        *,
        to: InstanceStatus | None = None,
        then: Callable[[], object] = _nothing,
        **values: Any,
    ) -> None:
        """Change the instance as :func:`vmdirac.store.instances.change` does; ``then`` follows if that was made."""
        self.changes[instance.id] = Change(instance, reason, to, values)
        self._then[instance.id] = then

    def _adopt(self, instance: Instance, seen: CloudInstance) -> None:
        def found_after_all() -> None:
            self.report.adopted += 1

        def adopted() -> None:
            self.report.adopted += 1
            self.made[instance.tick_id, instance.pod] += 1

        found = self._found(seen)
        if instance.status is InstanceStatus.ERROR:
            reason = f"its VM was found after all: {seen.cloud_id}"
            found |= {"forced": True, "stop_reason": instance.stop_reason or StopReason.LAUNCH_REFUSED}
            self._change(instance, reason, to=InstanceStatus.STOPPING, then=found_after_all, **found)
            return
        reason = f"found by its token and adopted: {seen.cloud_id}"
        self._change(instance, reason, to=instance.once_launched, then=adopted, **found)

    def _found(self, seen: CloudInstance) -> dict[str, Any]:
        """What a list tells of the VM that it found for an instance."""
        return {
            "cloud_id": seen.cloud_id,
            "absences": 0,
            "seen_at": self.now,
            "cloud_state": seen.state,
            "public_ip": seen.public_ip,
            "private_ip": seen.private_ip,
        }

    def _observation(self, instance: Instance, seen: CloudInstance) -> dict[str, Any]:
        """What is to be written of a VM that is there: of most, which are as they were, that they were seen."""
        news: dict[str, Any] = {"id": instance.id, "seen_at": self.now, "absences": 0}
        if seen.state is not instance.cloud_state:
            news["cloud_state"] = seen.state
        # An address that the cloud does not tell is not "none": the VM may have told its own.
        if seen.public_ip and seen.public_ip != instance.public_ip:
            news["public_ip"] = seen.public_ip
        if seen.private_ip and seen.private_ip != instance.private_ip:
            news["private_ip"] = seen.private_ip
        return news

    def _confirm_gone(self, instance: Instance, seen: CloudInstance | None) -> None:
        def gone() -> None:
            self.report.gone += 1
            # One that no list ever showed may merely never have been visible: that is no failure to boot.
            if seen is not None or instance.seen_at is not None:
                message = seen.message if seen is not None else ""
                self.ends.append(End(instance, seen, message or "it was gone before it called in"))

        def lost() -> None:
            gone()
            self.lost.append(instance)

        if instance.status is InstanceStatus.ERROR and instance.cloud_id is None:
            self._change(instance, "the cloud has no VM for it", vm_gone=True, then=gone)
            return
        reason, nothing = "the cloud says that it is gone", {"jobs": 0, "busy_processors": 0, "load": 0.0}
        self._change(instance, reason, to=InstanceStatus.HALTED, vm_gone=True, then=lost, **nothing)

    def _stop_dead(self, instance: Instance, seen: CloudInstance) -> None:
        reason = f"it is {seen.state} in the cloud {seen.message}".rstrip()
        # A cloud that takes a launch and finds no room for it afterwards has refused it all the same.
        refused = seen.fault is not None and instance.registered_at is None
        said: dict[str, Any] = {"error_kind": seen.fault, "error_message": seen.message} if refused else {}

        def stopped() -> None:
            self.deletes.append(instance.id)
            self.ends.append(End(instance, seen, reason))

        self._change(
            instance,
            reason,
            to=InstanceStatus.STOPPING,
            forced=True,
            stop_reason=instance.stop_reason or (StopReason.INTERRUPTED if seen.interrupted else StopReason.DIED),
            drain_phase=DrainPhase.DELETING,
            phase_since=self.now,
            delete_attempts=instance.delete_attempts + 1,
            then=stopped,
            **said,
        )

    def _interrupt(self, instance: Instance, seen: CloudInstance) -> None:
        def interrupted() -> None:
            self.report.interrupted += 1
            self.ends.append(End(instance, seen, seen.message))

        self._change(
            instance,
            f"asked to drain: {seen.message}",
            to=InstanceStatus.STOPPING,
            drain_phase=DrainPhase.ASKED,
            phase_since=self.now,
            stop_reason=StopReason.INTERRUPTED,
            # One that has not called in has no work, and no time left to begin any.
            forced=instance.registered_at is None,
            then=interrupted,
        )

    def _launch_again(self, instance: Instance) -> None:
        def again() -> None:
            self.report.launch_again += 1

        reason = "the cloud does not have it: it will be asked again"
        self._change(instance, reason, last_launch_at=None, absences=0, then=again)

    def _delete(self, instance: Instance) -> None:
        # Committed before the cloud is asked: from here on the stop cannot be taken back.
        self._change(
            instance,
            "it is to be deleted",
            drain_phase=DrainPhase.DELETING,
            phase_since=self.now,
            delete_attempts=instance.delete_attempts + 1,
            then=lambda: self.deletes.append(instance.id),
        )

    def _take_twin(self, instance: Instance, seen: CloudInstance, other: CloudInstance) -> None:
        reason = f"its VM is {seen.cloud_id}, which registered, and not {other.cloud_id}: that one is deleted"
        self._change(instance, reason, then=lambda: self.duplicates.append(other.cloud_id), **self._found(seen))

    def _delete_duplicate(self, instance: Instance, seen: CloudInstance) -> None:
        def delete() -> None:
            log.warning("instance %s has a second VM, %s: it is deleted", instance.id, seen.cloud_id)
            self.duplicates.append(seen.cloud_id)

        first = self._then.get(instance.id)
        if first is None:
            delete()
            return

        # Which of them is the second one is said by which the instance takes now. If it does not, because the answer
        # to its launch came just now, it may be this one that it has.
        def then() -> None:
            first()
            delete()

        self._then[instance.id] = then
