"""Stopping VMs from the page: who may, what is said before, and what is done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.manager.conftest import Manager
from tests.manager.people import People
from vmdirac.manager.stop_routes import MANY
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.store import instances

STOP, GO_ON = "/ui/v1/stops", "/ui/v1/stops/cancel"
S = InstanceStatus


def asked(people: People, path: str = STOP, by: str | None = "op", **body: Any) -> Any:
    return people.post(path, by=by, body=json.dumps({"why": "the lab moves", **body}))


@pytest.mark.parametrize("path", [STOP, GO_ON])
def test_who_may_edit_the_dag_that_starts_them_may_and_nobody_else(manager: Manager, people: People, path: str) -> None:
    running = manager.running()
    assert asked(people, path, by=None, instances=[running]).status_code == 401
    assert asked(people, path, by="viewer", instances=[running]).status_code == 403
    assert manager.row(running).status is S.RUNNING
    assert asked(people, path, by="user", instances=[running]).is_success
    assert people.post(path, **{"Content-Type": "text/plain"}).status_code == 415


def test_what_there_is_to_choose_from(manager: Manager, people: People) -> None:
    manager.running()
    assert people.get(STOP, by="user").json() == {"pods": ["pod"], "endpoints": ["cloud"], "unasked": MANY}
    assert people.get(STOP, by="viewer").status_code == 403
    told = {by: people.get("/ui/v1/summary", by=by).json()["may_stop"] for by in ("user", "viewer")}
    assert told == {"user": True, "viewer": False}


def test_a_look_and_a_stop(manager: Manager, people: People) -> None:
    running, other = manager.running(), manager.running()
    told = {
        "stopped": 1,
        "instances": [running],
        "jobs": 0,
        "untouched": 0,
        "what": "1 drain: they finish their jobs first\n1 of pod pod on cloud: " + str(running),
    }
    assert asked(people, instances=[running], dry_run=True).json() == told
    assert manager.row(running).status is S.RUNNING
    assert asked(people, instances=[running]).json() == told
    row = manager.row(running)
    assert (row.status, row.drain_phase, row.stop_reason) == (S.STOPPING, DrainPhase.ASKED, StopReason.REQUESTED)
    with manager.store.read() as session:
        assert instances.history(session, running)[-1].reason == "stopped by op: the lab moves"
    assert manager.heartbeat(running).json()["action"] == "drain"
    assert manager.heartbeat(other).json()["action"] == "work"


def test_by_force_and_too_late_to_go_on(manager: Manager, people: People) -> None:
    running = manager.running()
    stop = asked(people, instances=[running], pods=["pod"], states=["Running"], force=True)
    assert stop.json()["stopped"] == 1
    assert manager.row(running).forced
    assert asked(people, GO_ON, instances=[running]).json() == {"going_on": 0}


def test_a_drain_is_cancelled(manager: Manager, people: People) -> None:
    running = manager.running()
    asked(people, instances=[running], endpoints=["cloud"])
    assert asked(people, GO_ON, endpoints=["cloud"]).json() == {"going_on": 1}
    assert manager.row(running).status is S.RUNNING
    assert manager.heartbeat(running).json()["action"] == "work"


def test_many_are_not_stopped_unasked(manager: Manager, people: People) -> None:
    for _ in range(MANY + 1):
        manager.instance(S.RUNNING)
    look = asked(people, pods=["pod"], dry_run=True).json()
    assert look["stopped"] == len(look["instances"]) == MANY + 1
    refused = asked(people, pods=["pod"], instances=look["instances"])
    assert refused.status_code == 409
    assert "vmdirac_stop" in refused.json()["detail"]
    with manager.store.read() as session:
        assert instances.counts(session) == {S.RUNNING: MANY + 1}


def test_what_nobody_looked_at_is_not_stopped(manager: Manager, people: People) -> None:
    seen = manager.running()
    look = asked(people, pods=["pod"], dry_run=True).json()
    later = manager.running()
    assert asked(people, pods=["pod"], force=True).status_code == 422
    stop = asked(people, pods=["pod"], instances=look["instances"], force=True).json()
    assert (stop["stopped"], stop["instances"]) == (1, [seen])
    assert (manager.row(seen).forced, manager.row(later).status) == (True, S.RUNNING)
    other = asked(people, pods=["other"], instances=[later]).json()
    assert other["stopped"] == 0, "it was looked at, and does not fit what is said"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instances": []},
        {"instances": [0]},
        {"instances": ["all"]},
        {"states": ["Runing"], "instances": [1]},
        {"pods": [""], "instances": [1]},
        {"pods": ["pod"], "why": " ", "instances": [1]},
        {"pods": ["pod"], "all": True, "instances": [1]},
    ],
)
def test_what_does_not_say_which_and_why_is_refused(people: People, body: dict[str, Any]) -> None:
    assert asked(people, **body).status_code == 422
