"""What to do about the difference between the cloud's list and our rows, for one endpoint.

The caller lists the cloud first and reads the rows afterwards; a row that changed after the list began is skipped,
because the list cannot tell anything about it (invariant 4). Nothing here is called for a list that did not complete.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.cloud import DEAD, ENDED, CloudInstance, CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import LIVE, DrainPhase, InstanceStatus
from vmdirac.policy.backoff import delete_is_due

VISIBILITY_GRACE: Final = timedelta(minutes=2)
"""A VM younger than this may exist and not be listed yet."""

ABSENCES_NEEDED: Final = 2
MAX_LAUNCH_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Adopt:
    """The launch whose answer was lost has made this VM."""

    instance: Instance
    seen: CloudInstance


@dataclass(frozen=True, slots=True)
class Observe:
    """The VM is there; its state and addresses are to be noted."""

    instance: Instance
    seen: CloudInstance


@dataclass(frozen=True, slots=True)
class SeenRunning:
    """The cloud runs this VM. One without an agent never says so itself."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class CountAbsence:
    """Looked for and not found, once more; not enough yet to conclude anything."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class ConfirmGone:
    """The cloud has said that the VM is gone: ``seen`` in its list as such; ``None``: by listing it no more."""

    instance: Instance
    seen: CloudInstance | None = None


@dataclass(frozen=True, slots=True)
class StopDead:
    """The VM no longer runs by itself but still holds its place in the cloud."""

    instance: Instance
    seen: CloudInstance


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The cloud is about to take the VM back (spot): it is to take no more jobs, and to finish what it can."""

    instance: Instance
    seen: CloudInstance


@dataclass(frozen=True, slots=True)
class LaunchAgain:
    """The cloud never made the VM: ask again, with the same token."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Asked often enough in vain."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Delete:
    """Nothing keeps the VM any more: ask the cloud to delete it."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class TakeTwin:
    """Of two VMs with the token of one instance this is the one that registered: the instance is its, and the other one
    is to go."""

    instance: Instance
    seen: CloudInstance
    other: CloudInstance


@dataclass(frozen=True, slots=True)
class DeleteDuplicate:
    """A second VM with the token of an instance that has one already."""

    instance: Instance
    seen: CloudInstance


@dataclass(frozen=True, slots=True)
class Unknown:
    """A VM with our installation's tag that no unfinished row knows."""

    seen: CloudInstance


Action = (
    Adopt
    | Observe
    | SeenRunning
    | CountAbsence
    | ConfirmGone
    | StopDead
    | Interrupt
    | LaunchAgain
    | GiveUp
    | Delete
    | TakeTwin
    | DeleteDuplicate
    | Unknown
)


def reconcile(
    instances: Iterable[Instance],
    listed: Sequence[CloudInstance],
    deadlines: Callable[[Instance], Deadlines],
    began: datetime,
    hearing_since: datetime | None,
    now: datetime,
) -> list[Action]:
    """The actions for one endpoint, observations before consequences.

    :param instances: the endpoint's rows that are not Halted, read after the list.
    :param listed: the complete list of the installation's VMs there.
    :param began: when the list was begun.
    :param hearing_since: since when VMs can reach the manager; ``None``: they cannot.
    """
    # Pages shift while they are read: what is listed twice is still one VM.
    by_id = {seen.cloud_id: seen for seen in listed}
    rows = list(instances)
    tokens = {row.launch_token for row in rows}
    owned = {row.cloud_id for row in rows}
    by_token: dict[str, list[CloudInstance]] = defaultdict(list)
    unknown: list[CloudInstance] = []
    for cloud_id, seen in sorted(by_id.items()):
        # Whose VM it is, is said by its id; its token only speaks for a VM that no row has yet.
        if seen.state in ENDED or cloud_id in owned:
            continue
        if seen.token in tokens:
            by_token[seen.token].append(seen)
        else:
            unknown.append(seen)
    actions: list[Action] = []
    for row in rows:
        if row.changed_at >= began:
            continue
        twins = by_token[row.launch_token]
        if row.cloud_id is None:
            actions.extend(_without_cloud_id(row, twins, deadlines(row), began))
        else:
            mine = by_id.get(row.cloud_id)
            registered = _registered_twin(row, mine, twins)
            if registered is not None and mine is not None:
                actions.append(TakeTwin(row, registered, mine))
            actions.extend(DeleteDuplicate(row, twin) for twin in twins if twin is not registered)
            if registered is None:
                actions.extend(_with_cloud_id(row, mine, deadlines(row), began, hearing_since, now))
    actions.extend(Unknown(seen) for seen in unknown)
    return actions


def _without_cloud_id(
    instance: Instance, twins: Sequence[CloudInstance], deadlines: Deadlines, began: datetime
) -> Iterable[Action]:
    if twins:
        # The lower id stays: every controller that sees the same list chooses the same one.
        yield Adopt(instance, twins[0])
        yield from (DeleteDuplicate(instance, twin) for twin in twins[1:])
        return
    if instance.status is InstanceStatus.ERROR:
        if not instance.vm_gone and _should_be_listed(instance, began):
            yield _absent(instance, ConfirmGone(instance))
        return
    # A row that the cloud was never asked for is the next tick's business.
    asked = instance.last_launch_at
    if asked is None or began - asked <= max(deadlines.launch, VISIBILITY_GRACE):
        return
    again = instance.launch_attempts < MAX_LAUNCH_ATTEMPTS
    yield _absent(instance, LaunchAgain(instance) if again else GiveUp(instance))


def _with_cloud_id(
    instance: Instance,
    seen: CloudInstance | None,
    deadlines: Deadlines,
    began: datetime,
    hearing_since: datetime | None,
    now: datetime,
) -> Iterable[Action]:
    # A VM that calls in is there and works, whatever the cloud says; so may one that could not have called.
    calls = instance.heard_at is not None and not instance.is_silent(began, hearing_since)
    if seen is None:
        if instance.delete_asked_at is not None:
            # To a cloud that does not show the VM yet, it is one that is gone already: it takes the delete of anything.
            if instance.seen_at is not None or _should_be_listed(instance, began):
                yield ConfirmGone(instance)
        elif not calls and _should_be_listed(instance, began):
            yield _absent(instance, ConfirmGone(instance))
        return
    if seen.state in ENDED:
        yield ConfirmGone(instance, seen)
        return
    yield Observe(instance, seen)
    dead = seen.state in DEAD and not calls
    if dead and instance.status in LIVE | {InstanceStatus.STALLED, InstanceStatus.ERROR}:
        yield StopDead(instance, seen)
    # What a task started has no agent that could drain: it works as long as it is left.
    elif seen.interrupted and not instance.one_off and instance.status in LIVE | {InstanceStatus.STALLED}:
        yield Interrupt(instance, seen)
    elif instance.one_off and instance.status is InstanceStatus.SUBMITTED and seen.state is CloudState.RUNNING:
        yield SeenRunning(instance)
    elif _wants_deletion(instance, deadlines, now, dead=dead):
        yield Delete(instance)


def _registered_twin(
    instance: Instance, seen: CloudInstance | None, twins: Sequence[CloudInstance]
) -> CloudInstance | None:
    """The twin that registered in place of the VM that the instance was taken to be; ``None``: there is none. A VM that
    lies about its address only ends its own twin."""
    address = instance.reported_ip
    if not address or seen is None or address in {seen.private_ip, seen.public_ip}:
        return None
    return next((twin for twin in twins if address in {twin.private_ip, twin.public_ip}), None)


def _should_be_listed(instance: Instance, began: datetime) -> bool:
    """Whether its VM, if it has one, was old enough to be in this list. Reading a list may take long: how old the VM
    was when it began is what counts."""
    return began - (instance.last_launch_at or instance.created_at) > VISIBILITY_GRACE


def _absent(instance: Instance, conclusion: Action) -> Action:
    """Only the second complete list in a row without the VM concludes anything."""
    return conclusion if instance.absences + 1 >= ABSENCES_NEEDED else CountAbsence(instance)


def _wants_deletion(instance: Instance, deadlines: Deadlines, now: datetime, *, dead: bool) -> bool:
    if instance.status is not InstanceStatus.STOPPING:
        return False
    if instance.delete_asked_at is not None:
        # Asked and accepted, but still there: again, with a doubled pause each time.
        pause: timedelta = deadlines.delete * 2 ** min(max(0, instance.delete_attempts - 1), 6)
        return now - instance.delete_asked_at > pause
    if not delete_is_due(instance.delete_attempts, instance.delete_failed_at, now):
        return False
    # A VM that died while it drained will never say that it is empty.
    return dead or instance.forced or instance.drain_phase in {DrainPhase.EMPTY, DrainPhase.DELETING}
