"""How things went, for people: who may see it, and what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.fakes.rows import add_instance
from tests.manager.conftest import START, Manager
from tests.manager.test_ui_routes import auth_manager, get, no_token_is_revoked, place
from vmdirac.manager import statistics_routes
from vmdirac.model.event import Event, EventKind
from vmdirac.model.states import InstanceStatus
from vmdirac.store import counting, instances, sizes

__all__ = ["auth_manager", "no_token_is_revoked"]


def live(session: Session, boot: float, days_ago: float = 0, **fields: Any) -> int:
    """An instance that was 5 s in launch, ``boot`` in boot, and runs."""
    began = START - timedelta(days=days_ago, seconds=boot + 5)
    item = add_instance(session, InstanceStatus.NEW, at=began, **fields)
    for seconds, to in ((5.0, InstanceStatus.SUBMITTED), (boot + 5, InstanceStatus.RUNNING)):
        instances.change(session, item, began + timedelta(seconds=seconds), "goes on", to=to)
        found = instances.get(session, item.id)
        assert found is not None
        item = found
    return item.id


@pytest.mark.parametrize("path", ["phases", "totals", "sizes"])
@pytest.mark.parametrize(("role", "status"), [("viewer", 200), ("admin", 200), ("user", 200), ("", 401)])
def test_who_may_see_it(manager: Manager, path: str, role: str, status: int) -> None:
    assert get(manager, path, role).status_code == status


def test_what_happened(manager: Manager) -> None:
    with manager.store.write() as session:
        counting.add_totals(
            session,
            [
                Event(EventKind.TICK, START - timedelta(days=1), seconds=2),
                Event(EventKind.HALT, START - timedelta(days=8), what="idle"),
            ],
        )
    tick = {"kind": "tick", "what": "", "count": 1, "seconds": 2}
    halt = {"kind": "halt", "what": "idle", "count": 1, "seconds": 0}
    assert get(manager, "totals").json()["totals"] == [tick]
    assert get(manager, "totals?days=30").json()["totals"] == [halt, tick]
    assert get(manager, "totals?days=0").status_code == 422


def test_how_large_tables_are(manager: Manager) -> None:
    never = get(manager, "sizes").json()
    assert (never["tables"], never["counted_at"]) == ([], None)
    with manager.store.write() as session:
        sizes.keep(session, {"vmdirac_jobs": 3, "vmdirac_ticks": 40}, START)
    found = get(manager, "sizes").json()
    assert found["tables"] == [{"table": "ticks", "rows": 40}, {"table": "jobs", "rows": 3}]
    assert found["counted_at"].startswith("20")


def test_times_in_phases_by_pod_and_endpoint(manager: Manager) -> None:
    with manager.store.write() as session:
        for boot in (10, 20, 30, 40):
            live(session, boot, pod="p")
        live(session, 7, pod="", endpoint="beta")
        live(session, 9999, days_ago=8, pod="old")
    found = get(manager, "phases").json()
    assert found["phases"] == [
        {"pod": "", "endpoint": "beta", "phase": "launch", "count": 1, "p50": 5, "p90": 5, "p99": 5},
        {"pod": "", "endpoint": "beta", "phase": "boot", "count": 1, "p50": 7, "p90": 7, "p99": 7},
        {"pod": "p", "endpoint": "alpha", "phase": "launch", "count": 4, "p50": 5, "p90": 5, "p99": 5},
        {"pod": "p", "endpoint": "alpha", "phase": "boot", "count": 4, "p50": 20, "p90": 40, "p99": 40},
    ]
    assert (found["instances"], found["complete"]) == (6, True)
    assert {line["pod"] for line in get(manager, "phases?days=30").json()["phases"]} == {"", "p", "old"}
    assert get(manager, "phases?days=0").status_code == 422


def test_only_so_many_instances_are_looked_at(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_routes, "INSTANCES_AT_MOST", 2)
    with manager.store.write() as session:
        for number in range(3):
            live(session, 10, pod=f"p{number}")
    found = get(manager, "phases").json()
    assert {line["pod"] for line in found["phases"]} == {"p1", "p2"}
    assert (found["instances"], found["complete"]) == (2, False)


def test_of_one_instance_the_last_phase_goes_on(manager: Manager) -> None:
    with manager.store.write() as session:
        id_ = live(session, 10)
    manager.pass_time(seconds=3)
    phases = place(manager, id_).json()["phases"]
    assert [(stay["phase"], stay["seconds"]) for stay in phases] == [("launch", 5), ("boot", 10), ("run", 3)]
    assert [stay["ended"] is None for stay in phases] == [False, False, True]
