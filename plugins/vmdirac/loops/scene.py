"""All that a plan is made from, as one transaction sees it; the same for a tick and for a dry run."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.config.pods import RUNNING_PODS_VARIABLE
from vmdirac.contextualization.user_data import UserData
from vmdirac.loops.mass_silence import find_mass_silences
from vmdirac.model.account import AccountLimit
from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import Shape
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold
from vmdirac.model.instance import Instance
from vmdirac.model.states import RunningPodStatus
from vmdirac.policy.candidates import build_candidates
from vmdirac.policy.credentials import subject_of
from vmdirac.policy.mass_silence import MassSilences
from vmdirac.policy.plan import Candidate, Invalid, Order, Plan, make_plan
from vmdirac.store import accounts, alerts, endpoints, installation, instances, lease_usage, pods
from vmdirac.store.ticks import TickDemand


@dataclass(frozen=True, slots=True)
class Scene:
    """What is there: pods on endpoints, VMs, failure memory."""

    candidates: Sequence[Candidate]
    invalid: Sequence[Invalid]
    instances: Sequence[Instance]
    holds: Sequence[Hold]
    recent_launches: Mapping[str, int]
    account: Mapping[str, Sequence[AccountLimit]]
    hearing_since: datetime | None
    masses: MassSilences


RenderUserData = Callable[[Candidate, int], UserData]
"""Makes the user data of an instance (by its id), with a placeholder where the secret will be."""


def look(
    session: Session,
    configuration: Configuration,
    shapes: Mapping[tuple[str, str], Shape],
    now: datetime,
    render: RenderUserData,
) -> Scene:
    """Read all of it. Candidates whose user data cannot be rendered are invalid: a template of somebody's own can raise
    anything, and must stop nobody else."""
    bad_images = pods.bad_images(session, configuration.images)
    candidates, invalid = build_candidates(
        configuration.pods.values(), configuration.images, configuration.endpoints, shapes, bad_images
    )
    unarmed = _without_credentials(session, candidates)
    unrenderable = [bad for item in candidates if (bad := _try_to_render(item, render)) is not None]
    # One decision for each: whoever found it wrong first says why.
    found = [*unarmed, *unrenderable, *invalid, *_unreadable(session, configuration), *reversed(configuration.invalid)]
    wrong = {(bad.pod, bad.endpoint): bad for bad in found}
    unfinished = instances.unfinished(session)
    hearing = installation.hearing_since(session, now)
    return Scene(
        candidates=[item for item in candidates if (item.pod.name, item.endpoint.name) not in wrong],
        invalid=list(wrong.values()),
        instances=lease_usage.less_what_is_leased(session, unfinished),
        holds=endpoints.holds(session, now),
        recent_launches={
            endpoint.name: instances.launched_between(session, endpoint.name, now - endpoint.launch_window[0], now)
            for endpoint in configuration.endpoints.values()
            if endpoint.launch_window is not None
        },
        account=accounts.limits(session, now),
        hearing_since=hearing,
        masses=find_mass_silences(session, unfinished, hearing, now),
    )


def _without_credentials(session: Session, candidates: Sequence[Candidate]) -> list[Invalid]:
    """Those whose VMs would boot, wait for credentials that the manager cannot read, and do nothing."""
    if not any(item.pod.credentials for item in candidates):
        return []
    wrong = {alert.subject: alert.message for alert in alerts.open_of(session, AlertKind.CREDENTIAL)}
    return [
        Invalid(item.pod.name, item.endpoint.name, f"credentials.{source.name} cannot be read: {message}")
        for item in candidates
        for source in item.pod.credentials
        if (message := wrong.get(subject_of(item.pod.name, source.name))) is not None
    ]


def _unreadable(session: Session, configuration: Configuration) -> list[Invalid]:
    """While the running pods cannot be read at all, those that were there last are told why nothing starts for them."""
    if configuration.complete:
        return []
    why = next((str(item) for item in configuration.problems if RUNNING_PODS_VARIABLE in item.where), "")
    message = f"the running pods could not be read: {why}"
    known = [RunningPodStatus.ACTIVE, RunningPodStatus.UNACTIVE]
    return [Invalid(row.name, "", message) for row in pods.all_pods(session) if row.status in known]


def _try_to_render(candidate: Candidate, render: RenderUserData) -> Invalid | None:
    try:
        render(candidate, 1)
    except Exception as error:  # noqa: BLE001 - whatever a template raises
        return Invalid(candidate.pod.name, candidate.endpoint.name, cannot_be_rendered(candidate, error))
    return None


def cannot_be_rendered(candidate: Candidate, error: Exception) -> str:
    """What is said of user data that a template refuses to make."""
    return f"the user data of image {candidate.pod.image!r} cannot be rendered: {type(error).__name__}: {error}"


def plan_of(
    scene: Scene,
    told: TickDemand,
    order: Order | None,
    now: datetime,
    rng: random.Random,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Plan:
    """The plan for what is there and what the job sources told."""
    plan = make_plan(
        candidates=scene.candidates,
        invalid=scene.invalid,
        instances=scene.instances,
        demand=told.demand or Demand((), now),
        holds=scene.holds,
        hearing_since=scene.hearing_since,
        now=now,
        rng=rng,
        recent_launches=scene.recent_launches,
        account=scene.account,
        masses=scene.masses,
        order=order,
        out_of_time=out_of_time,
    )
    if not told.errors and told.demand is not None:
        return plan
    errors = told.errors or {"all job sources": "none was asked"}
    unknown = [
        Reason.of(ReasonCode.DEMAND_UNKNOWN, source=name, message=error) for name, error in sorted(errors.items())
    ]
    return replace(plan, decisions=tuple(_without_demand(item, unknown) for item in plan.decisions))


def _without_demand(decision: Decision, unknown: Sequence[Reason]) -> Decision:
    """The decision with the reasons that there are for it: not that no job matches, which nobody knows."""
    others = (reason for reason in decision.reasons if reason.code is not ReasonCode.NO_MATCHING_JOBS)
    return replace(decision, reasons=(*unknown, *others))
