"""Ticks and decisions: what the scheduler saw, wanted and got."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.orm import Session

from vmdirac.model.decision import Decision, Reason
from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Offer, Requirements, TaskQueue
from vmdirac.store.tables import DecisionRow, OfferRow, TickDemandRow, TickRow


def begin(
    session: Session, now: datetime, run_id: str = "", ordered_pod: str = "", ordered_vms: int | None = None
) -> int:
    """Open a tick; its id."""
    row = TickRow(began_at=now, run_id=run_id, ordered_pod=ordered_pod, ordered_vms=ordered_vms)
    session.add(row)
    session.flush()
    return row.id


def put_demand(session: Session, tick_id: int, source: str, demand: Demand | None, error: str = "") -> None:
    """Keep what a job source told the tick, or why it could not. Told again, the last word counts."""
    session.execute(delete(TickDemandRow).where(TickDemandRow.tick_id == tick_id, TickDemandRow.source == source))
    session.add(
        TickDemandRow(
            tick_id=tick_id,
            source=source,
            task_queues=[] if demand is None else [asdict(queue) for queue in demand.task_queues],
            observed_at=None if demand is None else demand.observed_at,
            unmatched=0 if demand is None else demand.unmatched,
            error=error,
        )
    )


@dataclass(frozen=True, slots=True)
class TickDemand:
    """What all job sources told a tick.

    :param demand: of all that could be read, the keys of their task queues made unlike each other; observed when the
        first of them looked. ``None``: none of them could be read.
    :param errors: why the others could not be, by source.
    """

    demand: Demand | None
    errors: Mapping[str, str]


def demand_of(session: Session, tick_id: int) -> TickDemand:
    """What the job sources told the tick."""
    query = select(TickDemandRow).where(TickDemandRow.tick_id == tick_id).order_by(TickDemandRow.source)
    rows = session.scalars(query).all()
    errors = {row.source: row.error for row in rows if row.observed_at is None}
    read = [(row, row.observed_at) for row in rows if row.observed_at is not None]
    if not read:
        return TickDemand(None, errors)
    queues = tuple(_task_queue(row.source, raw) for row, _ in read for raw in row.task_queues)
    return TickDemand(
        Demand(queues, min(observed for _, observed in read), sum(row.unmatched for row, _ in read)), errors
    )


def _task_queue(source: str, raw: dict[str, Any]) -> TaskQueue:
    key = f"{source}:{raw['key']}"
    return TaskQueue(key, Requirements.from_json(raw["requirements"]), raw["jobs"], raw["priority"])


def record_plan(
    session: Session,
    tick_id: int,
    decisions: Sequence[Decision],
    now: datetime,
    *,
    offers: Mapping[tuple[str, str], Offer],
    demand_age: float | None,
) -> None:
    """Keep the decisions of a tick.

    :param offers: what VMs of each (pod, endpoint) would have offered.
    :param demand_age: seconds since the demand was looked at; ``None``: it is not known.
    """
    session.execute(update(TickRow).where(TickRow.id == tick_id).values(planned_at=now))
    ids = _offer_ids(session, set(offers.values()))
    session.add_all(
        DecisionRow(
            tick_id=tick_id,
            pod=item.pod,
            endpoint=item.endpoint,
            offer_id=ids[offers[item.pod, item.endpoint]] if (item.pod, item.endpoint) in offers else None,
            jobs=item.jobs,
            waiting_cpu=item.waiting_cpu,
            demand_age=demand_age,
            active=item.active,
            in_flight=item.in_flight,
            warranted=item.warranted,
            planned=item.planned,
            clipped_by=item.clipped_by,
            reasons=[reason_to_json(reason) for reason in item.reasons],
        )
        for item in decisions
    )


def _offer_ids(session: Session, offers: Iterable[Offer]) -> dict[Offer, int]:
    digests = {offer.digest(): offer for offer in offers}
    known = {row.digest: row.id for row in session.execute(select(OfferRow.digest, OfferRow.id))} if digests else {}
    for digest, offer in sorted(digests.items(), key=lambda item: item[0]):
        if digest not in known:
            row = OfferRow(digest=digest, offer=asdict(offer))
            session.add(row)
            session.flush()
            known[digest] = row.id
    return {offer: known[digest] for digest, offer in digests.items()}


def reason_to_json(reason: Reason) -> dict[str, object]:
    """The reason as data, and the sentence as it read when it was true."""
    return {
        "code": reason.code.value,
        "parameters": dict(reason.parameters),
        "sentence": str(reason),
    }


def count_launch(session: Session, tick_id: int | None, pod: str, endpoint: str, *, launched: int, failed: int) -> None:
    """Add what became of launches to the decision that they came from."""
    session.execute(
        update(DecisionRow)
        .where(DecisionRow.tick_id == tick_id, DecisionRow.pod == pod, DecisionRow.endpoint == endpoint)
        .values(launched=DecisionRow.launched + launched, failed=DecisionRow.failed + failed)
        .execution_options(synchronize_session=False)
    )


def put_note(session: Session, tick_id: int, note: str, now: datetime) -> None:
    """Keep in one line what came of a tick, which ends with it. Noted again, it has not ended later."""
    ended = func.coalesce(TickRow.ended_at, literal(now, TickRow.ended_at.type))
    session.execute(update(TickRow).where(TickRow.id == tick_id).values(note=note, ended_at=ended))


def note_of_run(session: Session, run_id: str) -> str:
    """The note of the tick of this DAG run; empty if there is none."""
    query = select(TickRow.note).where(TickRow.run_id == run_id).order_by(TickRow.id.desc()).limit(1)
    return session.scalar(query) or ""


def get(session: Session, tick_id: int) -> TickRow | None:
    """One tick."""
    return session.get(TickRow, tick_id)


def last_planned(session: Session) -> TickRow | None:
    """The last tick for which a plan was made of all pods."""
    query = (
        select(TickRow)
        .where(TickRow.planned_at.is_not(None), TickRow.ordered_pod == "")
        .order_by(TickRow.id.desc())
        .limit(1)
    )
    return session.scalar(query)


def decisions(session: Session, tick_id: int) -> list[DecisionRow]:
    """The decisions of one tick, by pod and endpoint."""
    query = select(DecisionRow).where(DecisionRow.tick_id == tick_id).order_by(DecisionRow.pod, DecisionRow.endpoint)
    return list(session.scalars(query))


def offers(session: Session, decisions: Iterable[DecisionRow]) -> dict[int, Offer]:
    """What was offered where these decisions were taken, by the id of the offer."""
    ids = {row.offer_id for row in decisions if row.offer_id is not None}
    query = select(OfferRow.id, OfferRow.offer).where(OfferRow.id.in_(ids))
    return {row.id: Offer.from_json(row.offer) for row in session.execute(query)}


def count(session: Session) -> int:
    """How many ticks are remembered."""
    return session.scalars(select(func.count()).select_from(TickRow)).one()
