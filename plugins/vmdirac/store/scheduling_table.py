"""Scheduling as people look at it: the decisions of a tick filtered, sorted and cut into pages, and where VMs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from vmdirac.model.decision import ReasonCode
from vmdirac.model.states import UNFINISHED, InstanceStatus
from vmdirac.store.tables import DecisionRow, EndpointRow, InstanceRow, TickDemandRow, TickRow


class DecisionSort(StrEnum):
    """What decisions can be sorted by. ``ATTENTION``: how much a person should look at them."""

    ATTENTION = "attention"
    POD = "pod"
    ENDPOINT = "endpoint"
    JOBS = "jobs"
    WAITING_CPU = "waiting_cpu"
    ACTIVE = "active"
    IN_FLIGHT = "in_flight"
    WARRANTED = "warranted"
    PLANNED = "planned"
    LAUNCHED = "launched"
    FAILED = "failed"


_HOLDING = (ReasonCode.HELD, ReasonCode.PROBING)

_ATTENTION = case(
    (DecisionRow.clipped_by == ReasonCode.INVALID, 6),
    (DecisionRow.clipped_by.in_(_HOLDING), 5),
    (DecisionRow.failed > 0, 4),
    # That a campaign is over, or not on yet, is as somebody wanted it.
    (DecisionRow.clipped_by == ReasonCode.UNACTIVE, 0),
    (DecisionRow.clipped_by.is_not(None), 3),
    (DecisionRow.planned > 0, 2),
    else_=1,
)


def decisions_page(
    session: Session,
    tick_id: int,
    *,
    text: str = "",
    sort: DecisionSort = DecisionSort.ATTENTION,
    descending: bool = True,
    limit: int,
    offset: int = 0,
) -> tuple[Sequence[DecisionRow], int]:
    """Some decisions of a tick, and how many there are in all.

    :param text: only those with each of its words in the name of the pod or of the endpoint, whatever the case.
    """
    chosen = [DecisionRow.tick_id == tick_id]
    for word in text.lower().split():
        names = (func.lower(DecisionRow.pod), func.lower(DecisionRow.endpoint))
        chosen.append(or_(*(name.contains(word, autoescape=True) for name in names)))
    column = _ATTENTION if sort is DecisionSort.ATTENTION else getattr(DecisionRow, sort.value)
    query = (
        select(DecisionRow)
        .where(*chosen)
        .order_by(column.desc() if descending else column.asc(), DecisionRow.pod, DecisionRow.endpoint)
        .limit(limit)
        .offset(offset)
    )
    total = session.scalars(select(func.count()).select_from(DecisionRow).where(*chosen)).one()
    return session.scalars(query).all(), total


@dataclass(frozen=True, slots=True)
class VmCount:
    """How many VMs of a pod on an endpoint are in a state."""

    pod: str
    endpoint: str
    status: InstanceStatus
    count: int


def vm_counts(session: Session) -> list[VmCount]:
    """Where all VMs are that are not gone, by pod, endpoint and state."""
    key = (InstanceRow.pod, InstanceRow.endpoint, InstanceRow.status)
    query = (
        select(*key, func.count().label("count"))
        .where(InstanceRow.status.in_(UNFINISHED))
        .group_by(*key)
        .order_by(*key)
    )
    return [VmCount(row.pod, row.endpoint, row.status, int(row._mapping["count"])) for row in session.execute(query)]


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What a job source told a tick, counted.

    :param observed_at: ``None``: it could not be read, and ``error`` says why.
    """

    source: str
    task_queues: int
    jobs: int
    unmatched: int
    observed_at: datetime | None
    error: str


def source_counts(session: Session, tick_id: int) -> list[SourceCount]:
    """What all job sources told the tick, by name."""
    query = select(TickDemandRow).where(TickDemandRow.tick_id == tick_id).order_by(TickDemandRow.source)
    return [
        SourceCount(
            row.source,
            len(row.task_queues),
            sum(queue["jobs"] for queue in row.task_queues),
            row.unmatched,
            row.observed_at,
            row.error,
        )
        for row in session.scalars(query)
    ]


def newest_tick(session: Session) -> TickRow | None:
    """The tick that began last, planned or not, of all pods or of one."""
    return session.scalar(select(TickRow).order_by(TickRow.id.desc()).limit(1))


def all_endpoints(session: Session) -> Sequence[EndpointRow]:
    """All endpoints that were ever used, by name."""
    return session.scalars(select(EndpointRow).order_by(EndpointRow.name)).all()
