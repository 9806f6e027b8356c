"""One pass over the VMs of one endpoint that are contextualized over ssh.

Each VM is visited in a thread of its own, for a limited time, and what comes of it is recorded at once, by
compare-and-set: a VM that hangs delays neither the others nor, for long, the next pass, and a pass that dies is taken
up by the next one. A script, once begun, goes on by itself; later visits only look how far it is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.loops.contextualize_visit import Outcome, Visitor
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.policy.contextualize import ContextAction, GiveUp, Leave, TryAgain, Visit, decide
from vmdirac.store import boots, installation, instances, ssh_contexts
from vmdirac.store.database import Store

log = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""VMs that are visited at the same time."""

PASS_TIME: Final = timedelta(seconds=30)
"""After this no more visits are begun; the next pass begins with those that were visited longest ago. So short because
the passes on all endpoints are one run of a DAG, and the next run begins when the last of them has ended."""


@dataclass(frozen=True, slots=True)
class ContextReport:
    """What one pass did.

    :param visited: VMs that it tried to log in to; ``failed``: those of them where that came to nothing.
    :param begun: tries that were begun; ``ended``: scripts that were found to have ended well.
    :param again: tries that came to nothing; ``given_up``: VMs whose last try did.
    :param unusable: for each connection whose key cannot be used: why.
    """

    visited: int = 0
    failed: int = 0
    begun: int = 0
    ended: int = 0
    again: int = 0
    given_up: int = 0
    unusable: Mapping[str, str] = field(default_factory=dict)


def contextualize(
    store: Store,
    endpoint: str,
    deadlines: Callable[[Instance], Deadlines],
    visitor: Visitor,
    clock: Callable[[], datetime],
) -> ContextReport:
    """Draw conclusions from what failed, visit all VMs that are due, and draw conclusions from that."""
    before = _conclude(store, endpoint, deadlines, clock)
    outcomes = _visit_all(store, before.visits, visitor, clock)
    after = _conclude(store, endpoint, deadlines, clock)
    tried = [outcome for outcome in outcomes if outcome.tried]
    contexts = [outcome.context for outcome in tried if outcome.context is not None]
    report = ContextReport(
        visited=len(tried),
        failed=sum(bool(outcome.error) for outcome in tried),
        begun=sum(outcome.began for outcome in tried),
        ended=sum(context.exit_status == 0 for context in contexts),
        again=before.ends[TryAgain] + after.ends[TryAgain],
        given_up=before.ends[GiveUp] + after.ends[GiveUp],
        unusable=visitor.unusable,
    )
    log.info("%s: %s", endpoint, report)
    return report


def _visit_all(store: Store, visits: list[Visit], visitor: Visitor, clock: Callable[[], datetime]) -> list[Outcome]:
    with store.read() as session:
        requests = instances.frozen_requests(session, [visit.instance.id for visit in visits])
    visitor.prepare(requests)
    end = clock() + PASS_TIME

    def visit_one(visit: Visit) -> Outcome:
        return visitor.visit(visit) if clock() < end else Outcome(tried=False)

    with ThreadPoolExecutor(AT_ONCE, "ssh") as threads:
        return list(threads.map(visit_one, visits))


@dataclass(frozen=True, slots=True)
class _Concluded:
    """VMs that are to be visited, and how many ends of tries there were of each kind."""

    visits: list[Visit]
    ends: Counter[type[ContextAction]]


def _conclude(
    store: Store, endpoint: str, deadlines: Callable[[Instance], Deadlines], clock: Callable[[], datetime]
) -> _Concluded:
    def work(session: Session) -> _Concluded:
        now = clock()
        actions = decide(ssh_contexts.work(session, endpoint), deadlines, installation.hearing_since(session, now), now)
        made = Counter(type(action) for action in actions if _end(session, action, now))
        return _Concluded([action for action in actions if isinstance(action, Visit)], made)

    return store.transact(work)


def _end(session: Session, action: ContextAction, now: datetime) -> bool:
    """Make the end of a try; whether that was done: a VM may have called in meanwhile."""
    match action:
        case TryAgain(instance, why):
            return instances.change(session, instance, now, why, to=InstanceStatus.WAIT_SSH_CONTEXT)
        case GiveUp(instance, why):
            changed = instances.change(
                session,
                instance,
                now,
                f"given up: {why}",
                to=InstanceStatus.STOPPING,
                forced=True,
                stop_reason=StopReason.CONTEXT_FAILED,
                error_message=why,
            )
            if changed:
                boots.note_failure(session, instance, why, now)
            return changed
        case Leave(context):
            ssh_contexts.leave(session, context.instance_id)
            return True
        case Visit():
            return False
