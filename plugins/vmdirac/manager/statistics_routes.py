"""How things went, for people, ``/ui/v1``."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from vmdirac.manager.statistics_messages import Phases, PhaseView, Sizes, SizeView, Totals, TotalView
from vmdirac.manager.ui_routes import may_see
from vmdirac.manager.vm_routes import Now, TheStore
from vmdirac.model.phase import Phase
from vmdirac.policy.phases import spread, stays
from vmdirac.store import lives, sizes, totals

router = APIRouter(prefix="/ui/v1", tags=["pages"], dependencies=[Depends(may_see)])

INSTANCES_AT_MOST: Final = 1000
"""So many instances are looked at: some ten lines of history each, which is read in a fraction of a second."""


@router.get("/phases")
def phases(at: Now, store: TheStore, days: Annotated[int, Query(ge=1, le=90)] = 7) -> Phases:
    """How long VMs stayed in the phases of their lives, by pod and endpoint."""
    since = at - timedelta(days=days)
    with store.read() as session:
        found = lives.recent(session, since, INSTANCES_AT_MOST)
    views: list[PhaseView] = []
    for (pod, endpoint), histories in sorted(found.by_place.items()):
        seconds: dict[Phase, list[float]] = defaultdict(list)
        for stay in (stay for history in histories for stay in stays(history)):
            if stay.ended is not None and stay.ended >= since:
                seconds[stay.phase].append(stay.seconds(at))
        for phase in Phase:
            if phase in seconds:
                of = spread(seconds[phase])
                views.append(
                    PhaseView(
                        pod=pod, endpoint=endpoint, phase=phase, count=of.count, p50=of.p50, p90=of.p90, p99=of.p99
                    )
                )
    return Phases(phases=views, since=since, instances=found.instances, complete=found.complete, as_of=at)


@router.get("/totals")
def all_totals(at: Now, store: TheStore, days: Annotated[int, Query(ge=1, le=36500)] = 7) -> Totals:
    """What happened, by kind, whether it is still kept or not."""
    since = at - timedelta(days=days)
    with store.read() as session:
        found = totals.since(session, since)
    return Totals(totals=[TotalView.model_validate(total) for total in found], since=since, as_of=at)


@router.get("/sizes")
def sizes_of_tables(at: Now, store: TheStore) -> Sizes:
    """How many rows our tables have, as ``vmdirac_housekeeping`` counted them."""
    with store.read() as session:
        found = sizes.kept(session)
    return Sizes(
        tables=[SizeView(table=size.name.removeprefix("vmdirac_"), rows=size.rows) for size in found],
        counted_at=max((size.counted_at for size in found), default=None),
        as_of=at,
    )
