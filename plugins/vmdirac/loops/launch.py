"""Third step of a tick: ask one endpoint's cloud for the VMs that were reserved there."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, UnknownKeyError, bootstrap_secret, key_by_id
from vmdirac.loops.launch_answers import Answer, LostKeyError, note_answers
from vmdirac.model.cloud import LaunchOutcome, LaunchRequest
from vmdirac.model.contracts import Cloud
from vmdirac.model.errors import TransientError
from vmdirac.model.hold import HoldKind, Scope
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus
from vmdirac.policy import holds as hold_policy
from vmdirac.store import endpoints, instances
from vmdirac.store.changes import Change, change_all
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

BATCH = 32
"""Launches that the cloud is asked for in one go."""


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
        if claim.ids:
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
    """Instances that are to be asked for now, what has been tried with them, and what is left. No instances: another
    task was faster to claim all of them, and what is left is still to be asked for."""

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
    claims: list[Change] = []
    holds, flavors = set(tried.holds), Counter(tried.flavors)
    left: Due = []
    for item, scope in due:
        run_out = hold_policy.run_out(held, scope, now)
        keys = {(hold.kind, hold.pod) for hold in run_out}
        room = hold_policy.room_limit(hold_policy.score(held, scope, now))
        if (
            len(claims) == BATCH
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
            claims.append(_claim(item, now))
    if not claims:
        return None
    ids = sorted(change_all(session, claims, now))
    return _Claim(ids, _Tried(frozenset(holds), flavors), left)


def _give_back(session: Session, left: Due, now: datetime) -> None:
    """Retire what was never asked for: as long as it stands, its jobs would be waited for here."""
    reason = "launches are held here now, so the cloud was not asked for it"
    back = [item for item, _ in left if not item.launch_attempts]
    change_all(session, [Change(item, reason, InstanceStatus.HALTED, {"vm_gone": True}) for item in back], now)


def _claim(item: Instance, now: datetime) -> Change:
    attempt = item.launch_attempts + 1
    reason = f"the cloud is asked for it (attempt {attempt})"
    return Change(item, reason, values={"last_launch_at": now, "launch_attempts": attempt})


def _launch_batch(
    store: Store, cloud: Cloud, claimed: Sequence[int], keys: Sequence[SecretKey], clock: Callable[[], datetime]
) -> LaunchReport:
    with store.read() as session:
        wanted = instances.get_all(session, claimed)
        frozen = instances.frozen_requests(session, claimed)
    requests, by_token = _thaw_all(wanted, frozen, keys)
    by_token |= {outcome.token: outcome for outcome in cloud.launch(requests)}
    lost = TransientError("the cloud gave no answer for this launch")
    answers = [
        Answer(
            item,
            endpoints.scope_of(item, frozen[item.id][0]),
            by_token.get(item.launch_token, LaunchOutcome(item.launch_token, error=lost)),
        )
        for item in wanted
    ]
    # The time of the answer, not of the question: a list that was begun in between cannot know these VMs.
    return _record(store, answers, clock())


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
        sessionless_metadata=request.get("sessionless_metadata", False),
        first=item.launch_attempts == 1,
    )


def _add(left: LaunchReport, right: LaunchReport) -> LaunchReport:
    return LaunchReport(left.launched + right.launched, left.refused + right.refused, left.unknown + right.unknown)


def _record(store: Store, answers: Sequence[Answer], now: datetime) -> LaunchReport:
    """Keep what became of one batch, all of it in one transaction."""
    failed = store.transact(partial(note_answers, answers=answers, now=now))
    for answer, error in failed:
        item = answer.item
        log.warning("%s: launch of instance %s: %s error: %s", item.endpoint, item.id, error.kind, error)
    unknown = sum(isinstance(error, TransientError) for _, error in failed)
    return LaunchReport(len(answers) - len(failed), len(failed) - unknown, unknown)
