"""The idle and the stalled sweep: they read what VMs and the last lists said, and ask no cloud anything."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.config.settings import sweep_interval
from vmdirac.loops.deadlines import can_be_judged, deadlines_of
from vmdirac.loops.drains import end_overdue
from vmdirac.loops.mass_silence import find_mass_silences, note_mass_silences
from vmdirac.loops.stop import stop
from vmdirac.model.instance import Instance
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason, VmStopPolicy
from vmdirac.policy.drain import overdue_drains
from vmdirac.policy.idle import IdleRule, idle_instances, outside_campaign, past_their_life
from vmdirac.policy.mass_silence import too_soon_to_tell
from vmdirac.policy.one_off import outlived
from vmdirac.policy.stalled import MarkStalled, SilenceAction, StopByForce, never_asked, silent_instances
from vmdirac.policy.stop import was_our_decision
from vmdirac.store import boots, endpoints, installation, instances, leases, lost_jobs
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


LISTED_WITHIN: Final = timedelta(minutes=10)
"""A list says so long what is there; longer where sweeps come more seldom."""

OUTLIVED = "it has lived as long as it was to, and was not terminated"


@dataclass(frozen=True, slots=True)
class IdleReport:
    """VMs that were asked to drain; VMs of tasks that were stopped because of their age; VMs that were given up because
    they took too long to drain."""

    idle: int
    campaign_ended: int
    too_old: int = 0
    outlived: int = 0
    overdue: int = 0


def sweep_idle(store: Store, configuration: Configuration, now: datetime) -> IdleReport:
    """Ask VMs to drain that have had no job for their pod's margin, whose campaign is over, or that have lived as long
    as they were to; VMs of tasks are stopped then, there is nobody in them whom one could ask.

    Nothing is deleted here: a VM that took a job meanwhile has changed its row, and then the compare-and-set fails.
    """

    def work(session: Session) -> IdleReport:
        unfinished = instances.unfinished(session)
        hearing = installation.hearing_since(session, now)
        stopped = sum(stop(session, item, StopReason.MAX_LIFETIME, OUTLIVED, now) for item in outlived(unfinished, now))
        everything = [item for item in unfinished if not item.one_off]
        ended = outside_campaign(everything, configuration.pods, now.date())
        old = past_their_life(everything, now)
        idle = idle_instances(everything, _idle_rules(configuration, everything), now)
        overdue = overdue_drains(everything, configuration.pods, deadlines_of(configuration), hearing, now)
        # The first reason that there is for a VM is the one that is recorded.
        asked: set[int] = set()

        def drain(found: Sequence[Instance], reason: StopReason) -> int:
            fresh = [item for item in found if item.id not in asked]
            asked.update(item.id for item in fresh)
            return sum(_ask_to_drain(session, item, reason, now) for item in fresh)

        return IdleReport(
            campaign_ended=drain(ended, StopReason.CAMPAIGN_ENDED),
            too_old=drain(old, StopReason.MAX_LIFETIME),
            idle=drain(idle, StopReason.IDLE),
            outlived=stopped,
            overdue=end_overdue(session, overdue, now),
        )

    report = store.transact(work)
    log.info(
        "%s idle VMs asked to drain, %s because their campaign is over, %s because of their age; %s of tasks stopped;"
        " %s given up that took too long to drain",
        report.idle,
        report.campaign_ended,
        report.too_old,
        report.outlived,
        report.overdue,
    )
    return report


def _idle_rules(configuration: Configuration, everything: Sequence[Instance]) -> dict[tuple[str, str], IdleRule]:
    """The rule of every (pod, endpoint) that has VMs. One whose configuration is in error has none: better a VM that
    idles a while longer than one stopped by a typing mistake."""
    rules = {}
    for item in everything:
        pod = configuration.pods.get(item.pod)
        endpoint = configuration.endpoints.get(item.endpoint)
        if pod is None or endpoint is None:
            continue
        rules[item.pod, item.endpoint] = IdleRule.of(pod, endpoint)
    removed = {item.pod for item in everything} - configuration.pods.keys() - {bad.pod for bad in configuration.invalid}
    if configuration.complete:
        # Nobody wants VMs of a pod that was taken out of the configuration any more.
        for item in everything:
            if item.pod in removed:
                rules[item.pod, item.endpoint] = IdleRule(VmStopPolicy.ELASTIC)
    return rules


def _ask_to_drain(session: Session, item: Instance, reason: StopReason, now: datetime) -> bool:
    return instances.change(
        session,
        item,
        now,
        f"asked to drain: {reason}",
        to=InstanceStatus.STOPPING,
        drain_phase=DrainPhase.ASKED,
        phase_since=now,
        stop_reason=reason,
    )


@dataclass(frozen=True, slots=True)
class StalledReport:
    """VMs found silent, VMs given up, jobs taken back that nobody renewed, and launches that never were."""

    stalled: int = 0
    given_up: int = 0
    jobs_taken_back: int = 0
    never_asked: int = 0


def sweep_stalled(store: Store, configuration: Configuration, now: datetime) -> StalledReport:
    """Mark silent VMs as Stalled, give up those beyond their grace, and take back jobs whose leases ran out."""

    def work(session: Session) -> StalledReport:
        everything = instances.unfinished(session)
        deadlines = deadlines_of(configuration)
        retired = sum(_retire(session, item, now) for item in never_asked(everything, deadlines, now))
        hearing = installation.hearing_since(session, now)
        if hearing is None:
            # Nobody can call in now: silence says nothing.
            return StalledReport(never_asked=retired)
        # One without an agent never calls in.
        callers = [item for item in everything if not item.one_off]
        masses = find_mass_silences(session, callers, hearing, now)
        note_mass_silences(session, masses, now)
        actions = silent_instances(
            [item for item in callers if can_be_judged(configuration, item) and not masses.holds(item.endpoint)],
            deadlines,
            endpoints.listed_at(session),
            max(LISTED_WITHIN, 3 * timedelta(seconds=sweep_interval())),
            hearing,
            now,
        )
        done = [action for action in actions if _silence(session, action, now)]
        # Instances first, then jobs, as a VM's own calls lock them.
        held = [item.id for item in callers if masses.holds(item.endpoint) and item.is_silent(now, hearing)]
        leases.extend(session, held, now)
        decided = {item.id for item in callers if was_our_decision(item.stop_reason, forced=item.forced)}
        taken_back = lost_jobs.expire(session, hearing, now, too_soon_to_tell(callers, hearing, now), decided)
        stalled = sum(isinstance(action, MarkStalled) for action in done)
        return StalledReport(stalled, len(done) - stalled, taken_back, retired)

    report = store.transact(work)
    log.info("%s", report)
    return report


def _retire(session: Session, instance: Instance, now: datetime) -> bool:
    reason = "the cloud was never asked for it"
    return instances.change(session, instance, now, reason, to=InstanceStatus.HALTED, vm_gone=True)


def _silence(session: Session, action: SilenceAction, now: datetime) -> bool:
    match action:
        case MarkStalled(instance):
            return instances.change(
                session, instance, now, "silent beyond its deadline", to=InstanceStatus.STALLED, if_still_silent=True
            )
        case StopByForce(instance, reason):
            to = None if instance.status is InstanceStatus.STOPPING else InstanceStatus.STOPPING
            changed = instances.change(
                session,
                instance,
                now,
                f"given up: {reason}",
                to=to,
                if_still_silent=True,
                forced=True,
                stop_reason=reason,
            )
            if changed and reason is StopReason.BOOT_DEADLINE:
                boots.note_failure(session, instance, "it did not call in before its boot deadline", now)
            return changed
