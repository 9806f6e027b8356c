"""What a scheduler would have left in our database beside the fleet: pods, endpoints and images in all their states,
and a tick with its decisions, written straight into the tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.manager.browser import fleet
from vmdirac.model.alert import AlertKind
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.model.states import ImageStatus, RunningPodStatus
from vmdirac.store import alerts, endpoints, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import (
    AlertRow,
    DecisionRow,
    EndpointRow,
    HoldRow,
    ImageRow,
    OfferRow,
    RunningPodRow,
    TickDemandRow,
    TickRow,
)

SIMULATION, USER, RECONSTRUCTION = fleet.PODS
CERN, LNF, AWS = fleet.ENDPOINTS
BARI = "recas:bari/prod+gpu"
GHOST = "ghost-cloud"
BAD_POD, OLD_POD, NEW_POD = "cta-gpu", "cta-prod-2025", "na62-mc"
IMAGE, BAD_IMAGE = "cernvm5", "cernvm5/gpu+cuda:12"

REFUSED = "The request you have made requires authentication. (HTTP 401, req-3f1c9a07)"
NO_BOOT = "no call within 15 min of its launch; the console ends with “Cannot open root device vda1”"
IN_ERROR = f"none of its VMs ever booted, in 5 tries; the last one: {NO_BOOT}"
BAD_DATES = "campaign_end: 31.12.2026 is no date; dates are written as 2026-12-31"
NO_CONNECTION = f"endpoint {GHOST!r} is not configured or has errors"
MANY_UNKNOWN = "9 of 27 VMs carry our tag and are unknown: is this database older than they are?"
LIST_ERROR = "the connection broke off on page 3 of the list"

TABLES = (AlertRow, DecisionRow, TickDemandRow, TickRow, OfferRow, HoldRow, EndpointRow, RunningPodRow, ImageRow)


def clear(store: Store) -> None:
    """Leave nothing of it."""
    with store.write() as session:
        for table in TABLES:
            session.query(table).delete()


def fill(store: Store, now: datetime) -> int:
    """Make the database hold all of it, and nothing else of that kind; the tick's id."""
    clear(store)
    with store.write() as session:
        session.add_all([*_pods(now), *_images(now), *_endpoints(now)])
        alerts.raise_alert(session, AlertKind.ORPHANS, LNF, MANY_UNKNOWN, now - timedelta(minutes=4))
        session.flush()
        for hold in _holds(now):
            endpoints.put_hold(session, hold)
        return add_tick(session, now - timedelta(seconds=21), decisions())


def add_tick(session: Any, began: datetime, decided: list[Decision]) -> int:
    """A tick that was told of waiting jobs and decided so."""
    tick = ticks.begin(session, began, run_id=f"scheduled__{began.isoformat()}")
    queues = tuple(TaskQueue(str(number), Requirements(cpu_time=3600 * number), 71) for number in range(1, 4))
    ticks.put_demand(session, tick, "embedded", Demand(queues, began + timedelta(seconds=1), unmatched=12))
    ticks.put_demand(session, tick, "dirac-lhcb", None, "HTTP 504 from https://dips.example.org, after 30 s")
    ticks.record_plan(session, tick, decided, began + timedelta(seconds=9), offers={}, demand_age=8.0)
    ticks.count_launch(session, tick, SIMULATION, CERN, launched=4, failed=0)
    ticks.count_launch(session, tick, USER, AWS, launched=2, failed=1)
    ticks.put_note(
        session,
        tick,
        f"213 waiting, dirac-lhcb could not be read, 2 started on {AWS}, 4 started on {CERN}, 1 refused on {AWS},"
        " 9 held: endpoint limit, held, invalid, 12 that no pod serves",
        began + timedelta(seconds=20),
    )
    return tick


def _pods(now: datetime) -> list[RunningPodRow]:
    day = timedelta(days=1)
    states: list[tuple[str, RunningPodStatus, date | None, date | None, str]] = [
        (SIMULATION, RunningPodStatus.ACTIVE, (now - 40 * day).date(), (now + 80 * day).date(), ""),
        (USER, RunningPodStatus.ACTIVE, None, None, ""),
        (RECONSTRUCTION, RunningPodStatus.ACTIVE, (now - 10 * day).date(), None, ""),
        (BAD_POD, RunningPodStatus.ERROR, None, None, BAD_DATES),
        (OLD_POD, RunningPodStatus.UNACTIVE, date(2025, 1, 1), date(2025, 12, 31), ""),
        (NEW_POD, RunningPodStatus.NEW, None, None, ""),
    ]
    return [
        RunningPodRow(
            name=name, status=status, changed_at=now - day, campaign_start=start, campaign_end=end, error_message=error
        )
        for name, status, start, end, error in states
    ]


def _images(now: datetime) -> list[ImageRow]:
    hour = timedelta(hours=1)
    return [
        ImageRow(name=IMAGE, status=ImageStatus.VALIDATED, changed_at=now - 700 * hour, defined_at=now - 701 * hour),
        ImageRow(
            name=BAD_IMAGE,
            status=ImageStatus.ERROR,
            changed_at=now - 2 * hour,
            defined_at=now - 30 * hour,
            failures=5,
            failed_at=now - 2 * hour,
            error_message=IN_ERROR,
        ),
        ImageRow(name="alma9-minimal", status=ImageStatus.NEW, changed_at=now - 5 * hour, defined_at=now - 5 * hour),
    ]


def _endpoints(now: datetime) -> list[EndpointRow]:
    minute = timedelta(minutes=1)
    return [
        EndpointRow(name=CERN, list_began_at=now - minute, listed_vms=31, changed_at=now - minute),
        EndpointRow(
            name=LNF,
            list_began_at=now - 14 * minute,
            listed_vms=27,
            unknown_vms=2,
            list_error=LIST_ERROR,
            changed_at=now - 2 * minute,
        ),
        EndpointRow(
            name=AWS,
            list_began_at=now - minute,
            listed_vms=29,
            limits=[{"measure": "processors", "limit": 256, "others": 40}],
            limits_at=now - 3 * minute,
            changed_at=now - minute,
        ),
        EndpointRow(name=BARI, changed_at=now - 90 * minute),
    ]


def _holds(now: datetime) -> list[Hold]:
    minute = timedelta(minutes=1)
    return [
        Hold(BARI, HoldKind.AUTH, REFUSED, now - 85 * minute, now + 35 * minute, failures=4),
        Hold(LNF, HoldKind.BOOT, NO_BOOT, now - 9 * minute, now - minute, pod=RECONSTRUCTION, failures=3),
        Hold(AWS, HoldKind.CAPACITY, "Insufficient capacity", now - minute, now + 9 * minute, flavor="c7i.2xlarge"),
    ]


def decisions() -> list[Decision]:
    """Of the tick: every pod that could be looked at, on each of its endpoints."""
    until = datetime(2026, 11, 22, 23, 20, tzinfo=UTC).isoformat(timespec="seconds")
    held = Reason.of(ReasonCode.HELD, until=until, kind="auth", message=REFUSED)
    probing = Reason.of(ReasonCode.PROBING, kind="boot", message=NO_BOOT)
    full = Reason.of(ReasonCode.ENDPOINT_LIMIT, count=29, limit=29)
    elsewhere = Reason.of(ReasonCode.SERVED_ELSEWHERE)
    over = Reason.of(ReasonCode.UNACTIVE, start="2025-01-01", end="2025-12-31")

    def wanted(jobs: int, vms: int) -> Reason:
        return Reason.of(ReasonCode.DEMAND, jobs=jobs, vms=vms)

    return [
        Decision(SIMULATION, CERN, 142, 1_533_600, 9, 2, 6, 4, (wanted(142, 6),)),
        Decision(SIMULATION, LNF, 142, 1_533_600, 8, 0, 6, 0, (elsewhere,)),
        Decision(SIMULATION, BARI, 142, 1_533_600, 0, 0, 6, 0, (held,)),
        Decision(USER, AWS, 71, 255_600, 7, 1, 5, 3, (wanted(71, 5), full)),
        Decision(USER, CERN, 71, 255_600, 8, 1, 5, 0, (elsewhere,)),
        Decision(USER, GHOST, 0, 0, 0, 0, 0, 0, (Reason.of(ReasonCode.INVALID, message=NO_CONNECTION),)),
        Decision(RECONSTRUCTION, LNF, 71, 766_800, 9, 1, 2, 1, (probing, wanted(71, 2))),
        Decision(RECONSTRUCTION, CERN, 0, 0, 8, 0, 2, 0, (Reason.of(ReasonCode.NO_MATCHING_JOBS),)),
        Decision(OLD_POD, CERN, 0, 0, 0, 0, 0, 0, (over,)),
        Decision(BAD_POD, "", 0, 0, 0, 0, 0, 0, (Reason.of(ReasonCode.INVALID, message=BAD_DATES),)),
    ]
