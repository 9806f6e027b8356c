"""Second step of a tick: decide, and commit to what was decided before any cloud is asked (invariants 1 and 2)."""

from __future__ import annotations

import logging
import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret, fingerprint
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.instance import Instance
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.candidates import build_candidates
from vmdirac.policy.plan import Candidate, Plan, make_plan
from vmdirac.store import endpoints, installation, instances, leases, pods, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow

log = logging.getLogger(__name__)

RenderUserData = Callable[[Candidate, int], str]
"""Makes the user data of an instance (by its id), with a placeholder where the secret will be."""


def plan_and_reserve(
    store: Store,
    configuration: Configuration,
    tick_id: int,
    *,
    key: SecretKey,
    render: RenderUserData,
    now: datetime,
    rng: random.Random,
) -> Plan:
    """Make the plan of a tick and reserve a row for every VM in it, in one transaction.

    The transaction locks the pods' rows, then the endpoints', each in the order of their ids, and only then counts:
    of two schedulers at the same moment one waits, and then sees what the other one reserved.

    :param key: the installation's key, from which the VMs' secrets are derived.
    """

    def work(session: Session) -> Plan:
        _lock(session, configuration, now)
        plan = _plan(session, configuration, tick_id, now, rng)
        for launch in plan.launches:
            _reserve(session, launch.candidate, launch.count, tick_id, key, render, now)
        ticks.record_plan(session, tick_id, plan.decisions, now)
        return plan

    plan = store.transact(work)
    for decision in plan.decisions:
        log.info("%s", describe(decision))
    return plan


def _lock(session: Session, configuration: Configuration, now: datetime) -> None:
    """Lock the rows of all that is configured, after those were made that are missing."""
    reported = {problem.pod: problem.message for problem in configuration.invalid if not problem.endpoint}
    pods.note_pods(session, configuration.pods.values(), reported, now, complete=configuration.complete)
    pods.note_images(session, {pod.image for pod in configuration.pods.values()}, now)
    endpoints.note_endpoints(session, configuration.endpoints, now)
    session.flush()
    pods.lock_pods(session, list(configuration.pods))
    endpoints.lock_endpoints(session, list(configuration.endpoints))


def _plan(session: Session, configuration: Configuration, tick_id: int, now: datetime, rng: random.Random) -> Plan:
    candidates, unknown_shapes = build_candidates(
        configuration.pods.values(),
        configuration.images,
        configuration.endpoints,
        endpoints.shapes(session, now),
    )
    demand = ticks.demand_of(session, tick_id)
    plan = make_plan(
        candidates=candidates,
        invalid=[*configuration.invalid, *unknown_shapes],
        instances=_with_leases(session, instances.unfinished(session)),
        demand=demand or Demand((), now),
        holds=endpoints.holds(session, now),
        hearing_since=installation.hearing_since(session, now),
        now=now,
        rng=rng,
    )
    if demand is not None:
        return plan
    unknown = Reason.of(ReasonCode.DEMAND_UNKNOWN, message=ticks.demand_error_of(session, tick_id))
    return replace(plan, decisions=tuple(_without_demand(item, unknown) for item in plan.decisions))


def _with_leases(session: Session, found: Sequence[Instance]) -> list[Instance]:
    """The instances with what is taken of them by our own books, which know of jobs that a VM has not reported yet."""
    taken = leases.in_use(session)
    nothing = leases.InUse()
    return [
        replace(
            item,
            busy_processors=max(item.busy_processors, taken.get(item.id, nothing).processors),
            busy_memory_mb=taken.get(item.id, nothing).memory_mb,
        )
        for item in found
    ]


def _without_demand(decision: Decision, unknown: Reason) -> Decision:
    """The decision with the reason that there is for it: not that no job matches, which nobody knows."""
    others = (reason for reason in decision.reasons if reason.code is not ReasonCode.NO_MATCHING_JOBS)
    return replace(decision, reasons=(unknown, *others))


def _reserve(
    session: Session,
    candidate: Candidate,
    count: int,
    tick_id: int,
    key: SecretKey,
    render: RenderUserData,
    now: datetime,
) -> None:
    rows = [_new_row(candidate, tick_id, key, now) for _ in range(count)]
    instances.add(session, rows, f"tick {tick_id} decided to start it")
    for row in rows:
        # The user data names the instance, whose id is known only now; from here on the request is frozen.
        row.request = {
            "name": row.name,
            "boot_image": candidate.boot_image,
            "flavor": candidate.flavor,
            "user_data": render(candidate, row.id),
        }


def _new_row(candidate: Candidate, tick_id: int, key: SecretKey, now: datetime) -> InstanceRow:
    token = str(uuid.uuid4())
    return InstanceRow(
        pod=candidate.pod.name,
        image=candidate.pod.image,
        endpoint=candidate.endpoint.name,
        name=f"vmdirac-{token[:13]}",
        launch_token=token,
        tick_id=tick_id,
        status=InstanceStatus.NEW,
        created_at=now,
        status_since=now,
        changed_at=now,
        request={},
        offer=asdict(candidate.offer),
        processors=candidate.offer.processors,
        memory_mb=candidate.offer.memory_mb,
        heartbeat_period=candidate.pod.heartbeat_period.total_seconds(),
        secret_key_id=key.key_id,
        bootstrap_hash=fingerprint(bootstrap_secret(key, token)),
    )


def describe(decision: Decision) -> str:
    """One line for one decision."""
    where = f"{decision.pod} on {decision.endpoint}" if decision.endpoint else decision.pod
    reasons = "; ".join(str(reason) for reason in decision.reasons) or "nothing to do"
    return (
        f"{where}: {decision.planned} to start, {decision.active} active"
        f" ({decision.in_flight} of them on their way), {decision.jobs} matching jobs: {reasons}"
    )
