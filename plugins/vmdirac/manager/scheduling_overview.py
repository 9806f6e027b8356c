"""Puts together what the page shows of scheduling, from what the store remembers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.manager.scheduling_messages import (
    AlertView,
    EndpointView,
    HoldView,
    ImageView,
    LimitView,
    PodDecision,
    PodView,
    Said,
    Scheduling,
    SourceView,
    TickView,
)
from vmdirac.model.account import Usage
from vmdirac.model.decision import CLIPPING, ReasonCode
from vmdirac.model.hold import Hold
from vmdirac.model.states import ImageStatus, RunningPodStatus
from vmdirac.store import accounts, alerts, endpoints, pods, scheduling_table, ticks
from vmdirac.store.scheduling_table import VmCount
from vmdirac.store.tables import DecisionRow, EndpointRow, RunningPodRow

_POD_ORDER = (RunningPodStatus.ERROR, RunningPodStatus.ACTIVE, RunningPodStatus.NEW, RunningPodStatus.UNACTIVE)
_IMAGE_ORDER = (ImageStatus.ERROR, ImageStatus.NEW, ImageStatus.VALIDATED)

SAID_OF_A_POD = 3
"""So many sentences sum a pod up; all of them are in the table of decisions."""


def overview(session: Session, now: datetime, *, may_act: bool) -> Scheduling:
    """All that the page shows, but for the decisions one by one."""
    tick, newest = ticks.last_planned(session), scheduling_table.newest_tick(session)
    decisions = ticks.decisions(session, tick.id) if tick is not None else []
    sources = scheduling_table.source_counts(session, tick.id) if tick is not None else []
    vms = scheduling_table.vm_counts(session)
    images = sorted(pods.all_images(session), key=lambda row: _IMAGE_ORDER.index(row.status))
    return Scheduling(
        as_of=now,
        may_act=may_act,
        tick=TickView.model_validate(tick) if tick is not None else None,
        newest=TickView.model_validate(newest) if newest is not None else None,
        demand_age=next((row.demand_age for row in decisions if row.demand_age is not None), None),
        alerts=[AlertView.model_validate(alert) for alert in alerts.open_alerts(session)],
        sources=[SourceView.model_validate(source) for source in sources],
        pods=_pods(pods.all_pods(session), decisions, vms),
        endpoints=_endpoints(
            scheduling_table.all_endpoints(session),
            endpoints.holds(session, now),
            decisions,
            accounts.usage(session),
            now,
        ),
        images=[ImageView.model_validate(row) for row in images],
    )


def _pods(rows: Iterable[RunningPodRow], decisions: Iterable[DecisionRow], vms: Iterable[VmCount]) -> list[PodView]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for vm in vms:
        counts[vm.pod][vm.status] += vm.count
    decided: dict[str, list[DecisionRow]] = defaultdict(list)
    for decision in decisions:
        decided[decision.pod].append(decision)
    return [
        PodView(
            name=row.name,
            status=row.status,
            changed_at=row.changed_at,
            error_message=row.error_message,
            campaign_start=row.campaign_start,
            campaign_end=row.campaign_end,
            vms=dict(counts[row.name]),
            decision=_pod_decision(decided[row.name]) if row.name in decided else None,
        )
        for row in sorted(rows, key=lambda row: _POD_ORDER.index(row.status))
    ]


def _pod_decision(rows: Sequence[DecisionRow]) -> PodDecision:
    said: dict[tuple[int, str], list[str]] = defaultdict(list)
    for row in rows:
        for reason in row.reasons:
            said[_rank(reason["code"]), reason["sentence"]].append(row.endpoint)
    first = sorted(said.items(), key=lambda item: (item[0][0], -len(item[1])))[:SAID_OF_A_POD]
    return PodDecision(
        # The warranted VMs are the pod's, the same in each of its rows but for those that could not be planned.
        warranted=max(row.warranted for row in rows),
        planned=sum(row.planned for row in rows),
        launched=sum(row.launched for row in rows),
        failed=sum(row.failed for row in rows),
        said=[Said(sentence=sentence, endpoints=[name for name in names if name]) for (_, sentence), names in first],
    )


def _rank(code: str) -> int:
    if code == ReasonCode.INVALID:
        return 0
    if code in (ReasonCode.HELD, ReasonCode.PROBING, ReasonCode.DEMAND_UNKNOWN):
        return 1
    return 2 if code in CLIPPING else 3


def _endpoints(
    rows: Iterable[EndpointRow],
    holds: Iterable[Hold],
    decisions: Iterable[DecisionRow],
    usage: Mapping[str, Usage],
    now: datetime,
) -> list[EndpointView]:
    """Those that were used, and those that are only named somewhere: a pod may name one that there is not."""
    known: Mapping[str, EndpointRow] = {row.name: row for row in rows}
    held: dict[str, list[Hold]] = defaultdict(list)
    for hold in holds:
        held[hold.endpoint].append(hold)
    problems: dict[str, dict[str, None]] = defaultdict(dict)
    for decision in decisions:
        for reason in decision.reasons:
            if decision.endpoint and reason["code"] == ReasonCode.INVALID:
                problems[decision.endpoint][reason["sentence"]] = None
    found = [
        _endpoint(name, known.get(name), usage.get(name, Usage()), held[name], list(problems[name]), now)
        for name in sorted(known.keys() | usage.keys() | held.keys() | problems.keys())
    ]
    return sorted(found, key=lambda view: (not view.problems, not view.holds, not view.list_error))


def _endpoint(
    name: str, row: EndpointRow | None, usage: Usage, holds: Iterable[Hold], problems: list[str], now: datetime
) -> EndpointView:
    limits = accounts.limits_of_row(row) if row is not None else ()
    return EndpointView(
        name=name,
        vms=usage.instances,
        list_began_at=row.list_began_at if row is not None else None,
        listed_vms=row.listed_vms if row is not None else 0,
        unknown_vms=row.unknown_vms if row is not None else 0,
        list_error=row.list_error if row is not None else "",
        limits=[
            LimitView(measure=item.measure, limit=item.limit, ours=usage.in_measure(item.measure), others=item.others)
            for item in limits
        ],
        limits_at=row.limits_at if row is not None else None,
        limits_error=row.limits_error if row is not None else "",
        problems=problems,
        holds=[
            HoldView(
                kind=hold.kind,
                pod=hold.pod,
                flavor=hold.flavor,
                since=hold.since,
                until=hold.until,
                failures=hold.failures,
                message=hold.message,
                run_out=hold.until <= now,
            )
            for hold in holds
        ],
    )
