"""Third step of a tick: ask one endpoint's cloud for the VMs that were reserved there."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, UnknownKeyError, bootstrap_secret, key_by_id
from vmdirac.model.cloud import LaunchOutcome, LaunchRequest
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import CloudError, ConfigError, ErrorKind, TransientError
from vmdirac.model.hold import HoldKind, Scope
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus
from vmdirac.policy import holds as hold_policy
from vmdirac.store import endpoints, instances, ticks
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

BATCH = 32
"""Launches that the cloud is asked for in one go."""


class LostKeyError(ConfigError):
    """The key of this one launch is gone. New launches have another one, so nothing else is held for it."""


@dataclass(frozen=True, slots=True)
class LaunchReport:
    """What became of the launches of one endpoint. ``unknown``: the answer was lost; the next sweep finds out."""

    launched: int = 0
    refused: int = 0
    unknown: int = 0


def launch(
    store: Store,
    cloud: Cloud,
    endpoint: str,
    keys: Sequence[SecretKey],
    clock: Callable[[], datetime],
    only: Collection[int] | None = None,
) -> LaunchReport:
    """Ask for every New instance of the endpoint that is due and not held, and record what the cloud said.

    Each is claimed first, by compare-and-set: two tasks at once never ask for the same one, and after a crash the sweep
    sees that it was asked for and looks for it by its token. A batch is claimed only when its turn has come, so that a
    task that dies has claimed no more than it was asking for. What is left at the end because launches are held now is
    given back: the next tick may start it elsewhere.

    :param only: of these instances, which a task asked for; ``None``: of all that a tick asks for.
    """
    with store.read() as session:
        due = _due(session, endpoint, only)
    report, tried = LaunchReport(), _Tried()
    while claim := store.transact(partial(_claim_batch, endpoint=endpoint, due=due, tried=tried, now=clock())):
        due, tried = claim.left, claim.tried
        report = _add(report, _launch_batch(store, cloud, claim.ids, keys, clock))
    store.transact(lambda session: _give_back(session, due, clock()))
    log.info(
        "%s: %s launched, %s refused, %s without an answer",
        endpoint,
        report.launched,
        report.refused,
        report.unknown,
    )
    return report


Due = list[tuple[Instance, Scope]]
"""Instances that the cloud is to be asked for, and what they are of."""


def _due(session: Session, endpoint: str, only: Collection[int] | None) -> Due:
    due = instances.due_for_launch(session, endpoint, only)
    frozen = instances.frozen_requests(session, [item.id for item in due])
    return [(item, endpoints.scope_of(item, frozen[item.id][0])) for item in due]


@dataclass(frozen=True, slots=True)
class _Tried:
    """What this task has asked for so far: the holds (kind and pod) that it has tried out, and VMs by flavor."""

    holds: frozenset[tuple[HoldKind, str]] = frozenset()
    flavors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Claim:
    """Instances that are to be asked for now, what has been tried with them, and what is left."""

    ids: list[int]
    tried: _Tried
    left: Due


def _claim_batch(session: Session, endpoint: str, due: Due, tried: _Tried, now: datetime) -> _Claim | None:
    """Claim what is due, one batch of it; ``None``: nothing can be asked for now.

    Where a hold has run out, one launch tries whether it is still true. The others wait for what comes of it: if it
    succeeds the hold is gone, and they are claimed next. A flavor that there was no room for is asked for by few.
    """
    held = endpoints.holds(session, now)
    asked = (
        [item for item in instances.unfinished(session, endpoint) if item.last_launch_at is not None] if held else []
    )
    ids: list[int] = []
    holds, flavors = set(tried.holds), Counter(tried.flavors)
    left: Due = []
    for item, scope in due:
        run_out = hold_policy.run_out(held, scope, now)
        keys = {(hold.kind, hold.pod) for hold in run_out}
        room = hold_policy.room_limit(hold_policy.score(held, scope, now))
        if (
            len(ids) == BATCH
            or hold_policy.blocking(held, scope, now) is not None
            or keys & holds
            or any(hold_policy.is_probing(other, hold) for hold in run_out for other in asked)
            or (room is not None and flavors[scope.flavor] >= room)
        ):
            left.append((item, scope))
        else:
            # If somebody else was faster, it is they who try it.
            holds |= keys
            flavors[scope.flavor] += 1
            if _claim(session, item, now):
                ids.append(item.id)
    return _Claim(ids, _Tried(frozenset(holds), flavors), left) if ids else None


def _give_back(session: Session, left: Due, now: datetime) -> None:
    """Retire what was never asked for: as long as it stands, its jobs would be waited for here."""
    for item, _ in left:
        if not item.launch_attempts:
            reason = "launches are held here now, so the cloud was not asked for it"
            instances.change(session, item, now, reason, to=InstanceStatus.HALTED, vm_gone=True)


def _claim(session: Session, item: Instance, now: datetime) -> bool:
    attempt = item.launch_attempts + 1
    reason = f"the cloud is asked for it (attempt {attempt})"
    return instances.change(session, item, now, reason, last_launch_at=now, launch_attempts=attempt)


def _launch_batch(
    store: Store, cloud: Cloud, claimed: Sequence[int], keys: Sequence[SecretKey], clock: Callable[[], datetime]
) -> LaunchReport:
    with store.read() as session:
        wanted = [found for id_ in claimed if (found := instances.get(session, id_)) is not None]
        frozen = instances.frozen_requests(session, claimed)
    requests, by_token = _thaw_all(wanted, frozen, keys)
    by_token |= {outcome.token: outcome for outcome in cloud.launch(requests)}
    lost = TransientError("the cloud gave no answer for this launch")
    outcomes = [by_token.get(item.launch_token, LaunchOutcome(item.launch_token, error=lost)) for item in wanted]
    report = LaunchReport()
    # Successes first: they end the holds of earlier launches, not those that their own batch leads to.
    for item, outcome in sorted(zip(wanted, outcomes, strict=True), key=lambda pair: pair[1].error is not None):
        scope = endpoints.scope_of(item, frozen[item.id][0])
        # The time of the answer, not of the question: a list that was begun in between cannot know this VM.
        report = _add(report, _record(store, item, scope, outcome, clock()))
    return report


def _thaw_all(
    wanted: Sequence[Instance], frozen: dict[int, tuple[dict[str, Any], str]], keys: Sequence[SecretKey]
) -> tuple[list[LaunchRequest], dict[str, LaunchOutcome]]:
    """The requests as they go to the cloud, and the outcome of those that cannot be made any more."""
    requests: list[LaunchRequest] = []
    impossible: dict[str, LaunchOutcome] = {}
    for item in wanted:
        try:
            requests.append(_thaw(item, *frozen[item.id], keys))
        except UnknownKeyError as error:
            # Without its key a request cannot be repeated byte for byte; the other launches go on.
            impossible[item.launch_token] = LaunchOutcome(item.launch_token, error=LostKeyError(str(error)))
    return requests, impossible


def _thaw(item: Instance, request: dict[str, Any], key_id: str, keys: Sequence[SecretKey]) -> LaunchRequest:
    user_data = request["user_data"]
    if not item.one_off:
        # What a task asked for has no agent: its user data goes as it is.
        user_data = user_data.replace(PLACEHOLDER, bootstrap_secret(key_by_id(keys, key_id), item.launch_token))
    return LaunchRequest(
        token=item.launch_token,
        name=request["name"],
        boot_image=request["boot_image"],
        flavor=request["flavor"],
        user_data=user_data,
        max_price=request.get("max_price"),
    )


def _add(left: LaunchReport, right: LaunchReport) -> LaunchReport:
    return LaunchReport(left.launched + right.launched, left.refused + right.refused, left.unknown + right.unknown)


def _record(store: Store, item: Instance, scope: Scope, outcome: LaunchOutcome, now: datetime) -> LaunchReport:
    error = outcome.error
    if error is None:
        try:
            store.transact(lambda session: _launched(session, item, scope, outcome.cloud_id, now))
            return LaunchReport(launched=1)
        except (IntegrityError, DataError):
            error = TransientError(f"the cloud answered with an id that cannot be its VM's: {outcome.cloud_id!r}")
    log.warning("%s: launch of instance %s: %s error: %s", item.endpoint, item.id, error.kind, error)
    failed = _unanswered if isinstance(error, TransientError) else _refused
    store.transact(lambda session: failed(session, item, scope, error, now))
    return LaunchReport(unknown=1) if failed is _unanswered else LaunchReport(refused=1)


def _launched(session: Session, item: Instance, scope: Scope, cloud_id: str | None, now: datetime) -> None:
    made = instances.change(
        session,
        item,
        now,
        f"the cloud made it: {cloud_id}",
        to=InstanceStatus.SUBMITTED,
        cloud_id=cloud_id,
        last_launch_at=now,
        error_kind=None,
        error_message="",
    )
    # Else a sweep was faster: it has adopted the same VM, or will find this one.
    if made:
        endpoints.release_holds(session, endpoint=item.endpoint, pod=item.pod, flavor=scope.flavor)
        _count(session, item, launched=1)


def _unanswered(session: Session, item: Instance, _scope: Scope, error: CloudError, now: datetime) -> None:
    # Whether there is a VM is not known: the row stays New until the sweep has looked.
    instances.change(session, item, now, f"no answer: {error}", error_kind=error.kind, error_message=str(error))


def _refused(session: Session, item: Instance, scope: Scope, error: CloudError, now: datetime) -> None:
    instances.change(
        session,
        item,
        now,
        f"the cloud refused it: {error}",
        to=InstanceStatus.ERROR,
        # What became of an earlier attempt is for the lists to say.
        vm_gone=item.launch_attempts <= 1,
        error_kind=error.kind,
        error_message=str(error),
    )
    _count(session, item, failed=1)
    if isinstance(error, LostKeyError):
        return
    # A mistake in what one task asked for is nobody else's: such a launch is of no pod, and a hold would be all pods'.
    if error.kind is ErrorKind.TRANSIENT or (item.one_off and error.kind is ErrorKind.CONFIG):
        return
    previous = endpoints.hold_of(session, scope, HoldKind(error.kind.value))
    hold = hold_policy.after_error(error, scope=scope, now=now, previous=previous)
    if hold is not None:
        endpoints.put_hold(session, hold)


def _count(session: Session, item: Instance, *, launched: int = 0, failed: int = 0) -> None:
    ticks.count_launch(session, item.tick_id, item.pod, item.endpoint, launched=launched, failed=failed)
