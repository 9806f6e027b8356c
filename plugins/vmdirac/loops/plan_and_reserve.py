"""Second step of a tick: decide, and commit to what was decided before any cloud is asked (invariants 1 and 2)."""

from __future__ import annotations

import logging
import random
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret, fingerprint
from vmdirac.contextualization.user_data import UserData, agent_sha256, agent_source
from vmdirac.loops.drains import take_back
from vmdirac.loops.scene import RenderUserData, cannot_be_rendered, look, plan_of
from vmdirac.model.decision import CLIPPING, Decision, Reason, ReasonCode
from vmdirac.model.ssh import SSH
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.plan import Candidate, Order, Plan, PlannedLaunch
from vmdirac.store import agent_programs, endpoints, instances, pods, ticks
from vmdirac.store.database import Store
from vmdirac.store.instances import REST_OF_USER_DATA
from vmdirac.store.tables import InstanceRow

log = logging.getLogger(__name__)


def plan_and_reserve(
    store: Store,
    configuration: Configuration,
    tick_id: int,
    *,
    key: SecretKey,
    render: RenderUserData,
    now: datetime,
    rng: random.Random,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Plan:
    """Make the plan of a tick and reserve a row for every VM in it, in one transaction.

    The transaction locks the pods' rows, then the endpoints', each in the order of their ids, and only then counts:
    of two schedulers at the same moment one waits, and then sees what the other one reserved.

    :param key: the installation's key, from which the VMs' secrets are derived.
    :param out_of_time: once it says yes, the plan is what has been planned by then.
    """

    def work(session: Session) -> Plan:
        _lock(session, configuration, now)
        told, order = ticks.demand_of(session, tick_id), _order_of(session, tick_id)
        scene = look(session, configuration, endpoints.all_shapes(session), now, render)
        for hold in endpoints.drop_outdated_holds(session, [item.scope for item in scene.candidates]):
            log.info("%s %s: the configuration has changed, launches are no longer held", hold.endpoint, hold.pod)
        plan = plan_of(scene, told, order, now, rng, out_of_time)
        take_back(session, plan.taken_back, "there is work for it again: it drains no more", now)
        if plan.launches:
            # It is what they will come for, whichever version the API servers are of by then.
            agent_programs.keep(session, agent_source(), now)
        for launch in plan.launches:
            try:
                with session.begin_nested():
                    _reserve(session, launch.candidate, launch.count, tick_id, plan, key, render, now)
            except TemplateError as error:
                plan = _without(plan, launch, str(error))
        age = None if told.demand is None else max(0.0, (now - told.demand.observed_at).total_seconds())
        offers = {(item.pod.name, item.endpoint.name): item.offer for item in scene.candidates}
        ticks.record_plan(session, tick_id, plan.decisions, now, offers=offers, demand_age=age)
        return plan

    plan = store.transact(work)
    for decision in plan.decisions:
        log.info("%s", describe(decision))
    return plan


def _lock(session: Session, configuration: Configuration, now: datetime) -> None:
    """Lock the rows of all that is configured, after those were made that are missing."""
    reported = {problem.pod: problem.message for problem in configuration.invalid if not problem.endpoint}
    pods.note_pods(session, configuration.pods.values(), reported, now, complete=configuration.complete)
    used: dict[str, set[str]] = defaultdict(set)
    for pod in configuration.pods.values():
        used[pod.image].update(name for name, _ in pod.endpoints if name in configuration.endpoints)
    images = (image for image in configuration.images.values() if image.name in used)
    pods.note_images(session, images, now, configuration.invalid_images, used)
    endpoints.note_endpoints(session, configuration.endpoints, now)
    session.flush()
    pods.lock_pods(session, list(configuration.pods))
    endpoints.lock_endpoints(session, list(configuration.endpoints))


def _order_of(session: Session, tick_id: int) -> Order | None:
    tick = ticks.get(session, tick_id)
    return Order(tick.ordered_pod, tick.ordered_vms) if tick is not None and tick.ordered_pod else None


def _reserve(
    session: Session,
    candidate: Candidate,
    count: int,
    tick_id: int,
    plan: Plan,
    key: SecretKey,
    render: RenderUserData,
    now: datetime,
) -> None:
    rows = [_new_row(candidate, tick_id, key, now) for _ in range(count)]
    instances.add(session, rows, f"tick {tick_id} decided to start it: {_why(candidate, plan)}")
    for row in rows:
        # The user data names the instance, whose id is known only now; from here on the request is frozen.
        row.request = {
            "name": row.name,
            "boot_image": candidate.boot_image,
            "flavor": candidate.flavor,
            **_given(candidate, _rendered(candidate, row.id, render)),
            "max_price": candidate.max_price,
            **({"sessionless_metadata": True} if candidate.sessionless_metadata else {}),
            "revision": candidate.revision,
            "endpoint_revision": candidate.endpoint.revision,
            "load_average_timespan": candidate.pod.load_average_timespan.total_seconds(),
            "agent": candidate.pod.agent_rules.as_json(),
            "output": target.as_json() if (target := candidate.pod.output_target) is not None else None,
        }


def _given(candidate: Candidate, rendered: UserData) -> dict[str, Any]:
    """What the VM is given to boot with; or, if it is contextualized over ssh, what it is given later, and how."""
    if candidate.ssh is None:
        return {"user_data": rendered.text, **({REST_OF_USER_DATA: rendered.rest} if rendered.rest else {})}
    return {"user_data": "", "script": rendered.text, "ssh": asdict(candidate.ssh)}


class TemplateError(Exception):
    """User data could not be rendered for one of the instances, although it could for others."""


def _rendered(candidate: Candidate, instance_id: int, render: RenderUserData) -> UserData:
    try:
        return render(candidate, instance_id)
    except Exception as error:
        raise TemplateError(cannot_be_rendered(candidate, error)) from error


def _without(plan: Plan, launch: PlannedLaunch, message: str) -> Plan:
    """The plan for all the others."""
    key = (launch.candidate.pod.name, launch.candidate.endpoint.name)
    invalid = Reason.of(ReasonCode.INVALID, message=message)
    return replace(
        plan,
        launches=tuple(item for item in plan.launches if item is not launch),
        decisions=tuple(
            replace(item, planned=0, reasons=(invalid, *item.reasons)) if (item.pod, item.endpoint) == key else item
            for item in plan.decisions
        ),
    )


def _why(candidate: Candidate, plan: Plan) -> str:
    """Why VMs are started there: it outlives the decision's row."""
    for decision in plan.decisions:
        if (decision.pod, decision.endpoint) == (candidate.pod.name, candidate.endpoint.name):
            return "; ".join(str(reason) for reason in decision.reasons if reason.code not in CLIPPING)
    return ""


def _new_row(candidate: Candidate, tick_id: int, key: SecretKey, now: datetime) -> InstanceRow:
    token = str(uuid.uuid4())
    return InstanceRow(
        pod=candidate.pod.name,
        image=candidate.pod.image,
        endpoint=candidate.endpoint.name,
        flavor=candidate.flavor,
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
        max_allowed_price=candidate.max_price,
        secret_key_id=key.key_id,
        context_method=SSH if candidate.ssh is not None else "",
        agent_sha256=agent_sha256(),
        bootstrap_hash=fingerprint(bootstrap_secret(key, token)),
    )


def describe(decision: Decision) -> str:
    """One line for one decision, what came of it first."""
    where = f"{decision.pod} on {decision.endpoint}" if decision.endpoint else decision.pod
    reasons = "; ".join(str(reason) for reason in decision.reasons) or "nothing to do"
    return (
        f"{where}: {decision.planned} to start: {reasons} ({decision.jobs} matching jobs, {decision.active} active VMs,"
        f" {decision.in_flight} of them on their way)"
    )
