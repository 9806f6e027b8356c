"""Scheduling for people: who may see it and act, what it says, and what the actions do."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import Any

import pytest

from tests.fakes.rows import add_instance
from tests.manager.conftest import START, Manager
from tests.manager.people import People
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.model.states import ImageStatus, InstanceStatus, RunningPodStatus
from vmdirac.store import endpoints, ticks
from vmdirac.store.tables import DecisionRow, EndpointRow, HoldRow, ImageRow, RunningPodRow, TickRow

MINUTE = timedelta(minutes=1)
ODD = "cern:geneva/prod+gpu"
ODD_IN_ADDRESSES = "cern%3Ageneva%2Fprod%2Bgpu"
READS = ("/ui/v1/scheduling", "/ui/v1/decisions")
ACTIONS = ("/ui/v1/endpoints/alpha/resume", "/ui/v1/images/image/reset")


def hold(manager: Manager, endpoint: str, kind: HoldKind = HoldKind.AUTH, **fields: Any) -> None:
    with manager.store.write() as session:
        endpoints.note_endpoints(session, [endpoint], START)
        values = {"message": "refused", "since": START, "until": START + 10 * MINUTE, **fields}
        endpoints.put_hold(session, Hold(endpoint, kind, **values))


def add_tick(manager: Manager, *decisions: Decision, **order: Any) -> int:
    with manager.store.write() as session:
        tick = ticks.begin(session, START, **order)
        ticks.record_plan(session, tick, decisions, START + MINUTE, offers={}, demand_age=7.0)
    return tick


def decision(pod: str, endpoint: str, *reasons: Reason, warranted: int = 0, planned: int = 0) -> Decision:
    return Decision(pod, endpoint, 3, 900, 2, 1, warranted, planned, reasons)


@pytest.mark.parametrize("path", READS)
def test_every_viewer_may_look_and_nobody_unknown(people: People, path: str) -> None:
    assert people.get(path, by=None).status_code == 401
    assert people.get(path, by="viewer").status_code == 200


@pytest.mark.parametrize("path", ACTIONS)
def test_who_may_edit_connections_may_act_and_nobody_else(manager: Manager, people: People, path: str) -> None:
    hold(manager, "alpha")
    assert people.post(path, by=None).status_code == 401
    for name in ("viewer", "user"):
        assert people.post(path, by=name).status_code == 403
    with manager.store.read() as session:
        assert session.query(HoldRow).count() == 1
    assert people.post(path, by="op").is_success


@pytest.mark.parametrize("path", ACTIONS)
def test_another_sites_page_cannot_act_for_its_visitor(manager: Manager, people: People, path: str) -> None:
    hold(manager, "alpha")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert people.post(path, **form).status_code == 415
    assert people.post(path, **{"Content-Type": ""}).status_code == 415
    for site in ("cross-site", "same-site", "none"):
        assert people.post(path, **{"Sec-Fetch-Site": site}).status_code == 403
    with manager.store.read() as session:
        assert session.query(HoldRow).count() == 1
    assert people.post(path, **{"Sec-Fetch-Site": "same-origin"}).is_success
    assert people.client.get(path, headers=people.known("op")).status_code == 405


def test_it_says_who_may_act(people: People) -> None:
    told = {name: people.get(READS[0], by=name).json()["may_act"] for name in people.tokens}
    assert told == {"viewer": False, "user": False, "op": True}


def test_an_empty_installation(people: People) -> None:
    shown = people.get(READS[0]).json()
    assert (shown["tick"], shown["newest"], shown["demand_age"]) == (None, None, None)
    assert (shown["sources"], shown["pods"], shown["endpoints"]) == ([], [], [])
    assert people.get(READS[1]).json() == {"decisions": [], "total": 0}


def test_the_last_tick_and_what_it_was_told(manager: Manager, people: People) -> None:
    tick = add_tick(manager, decision("pod", "alpha"))
    with manager.store.write() as session:
        queues = (TaskQueue("1", Requirements(cpu_time=60), 5), TaskQueue("2", Requirements(cpu_time=60), 6))
        ticks.put_demand(session, tick, "embedded", Demand(queues, START, unmatched=4))
        ticks.put_demand(session, tick, "dirac", None, "no answer")
        ticks.put_note(session, tick, "11 waiting", START)
    by_hand = add_tick(manager, decision("pod", "alpha"), ordered_pod="pod", ordered_vms=2)
    shown = people.get(READS[0]).json()
    assert shown["tick"]["id"] == tick
    assert shown["tick"]["note"] == "11 waiting"
    assert shown["demand_age"] == 7.0
    assert (shown["newest"]["id"], shown["newest"]["ordered_pod"], shown["newest"]["ordered_vms"]) == (
        by_hand,
        "pod",
        2,
    )
    dirac, embedded = shown["sources"]
    assert (dirac["source"], dirac["observed_at"], dirac["error"]) == ("dirac", None, "no answer")
    assert (embedded["task_queues"], embedded["jobs"], embedded["unmatched"]) == (2, 11, 4)


def test_pods_those_in_error_first_with_what_was_decided(manager: Manager, people: People) -> None:
    with manager.store.write() as session:
        for name, status, error in (
            ("a", RunningPodStatus.ACTIVE, ""),
            ("b", RunningPodStatus.UNACTIVE, ""),
            ("c", RunningPodStatus.NEW, ""),
            ("d", RunningPodStatus.ERROR, "max_instances: -1"),
        ):
            session.add(
                RunningPodRow(
                    name=name, status=status, changed_at=START, error_message=error, campaign_end=date(2027, 1, 31)
                )
            )
        for vm in (InstanceStatus.RUNNING, InstanceStatus.RUNNING, InstanceStatus.NEW, InstanceStatus.HALTED):
            add_instance(session, vm, pod="a", endpoint="alpha")
    full, demand = Reason.of(ReasonCode.POD_LIMIT, count=3, limit=3), Reason.of(ReasonCode.DEMAND, jobs=3, vms=2)
    invalid = Reason.of(ReasonCode.INVALID, message="there is no connection 'beta'")
    add_tick(
        manager,
        decision("a", "alpha", demand, full, warranted=2, planned=1),
        decision("a", "gamma", full, warranted=2),
        decision("a", "beta", invalid),
    )
    shown = people.get(READS[0]).json()["pods"]
    assert [pod["name"] for pod in shown] == ["d", "a", "c", "b"]
    assert shown[0]["error_message"] == "max_instances: -1"
    assert shown[0]["decision"] is None
    active = shown[1]
    assert (active["campaign_start"], active["campaign_end"]) == (None, "2027-01-31")
    assert active["vms"] == {"Running": 2, "New": 1}
    assert active["decision"] == {
        "warranted": 2,
        "planned": 1,
        "launched": 0,
        "failed": 0,
        "said": [
            {"sentence": "there is no connection 'beta'", "endpoints": ["beta"]},
            {"sentence": str(full), "endpoints": ["alpha", "gamma"]},
            {"sentence": str(demand), "endpoints": ["alpha"]},
        ],
    }


def test_endpoints_those_with_trouble_first_even_those_that_are_none(manager: Manager, people: People) -> None:
    with manager.store.write() as session:
        for name, error in (("fine", ""), ("blind", "page 3 was missing")):
            session.add(
                EndpointRow(
                    name=name,
                    list_began_at=START,
                    listed_vms=2,
                    unknown_vms=1,
                    list_error=error,
                    changed_at=START,
                )
            )
        add_instance(session, InstanceStatus.RUNNING, endpoint="fine")
        add_instance(session, InstanceStatus.ERROR, endpoint="fine", vm_gone=True)
    hold(manager, "held", HoldKind.BOOT, pod="a", until=START - MINUTE, failures=3)
    hold(manager, "held", HoldKind.THROTTLE, until=START - MINUTE)
    hold(manager, "held", HoldKind.CAPACITY, flavor="big")
    invalid = Reason.of(ReasonCode.INVALID, message="there is no connection 'ghost'")
    add_tick(manager, decision("a", "ghost", invalid), decision("b", "ghost", invalid), decision("c", "", invalid))
    shown = {view["name"]: view for view in people.get(READS[0]).json()["endpoints"]}
    assert list(shown) == ["ghost", "held", "blind", "fine"]
    assert shown["ghost"]["problems"] == ["there is no connection 'ghost'"]
    assert shown["ghost"]["list_began_at"] is None
    assert [(item["kind"], item["pod"], item["flavor"], item["run_out"]) for item in shown["held"]["holds"]] == [
        ("boot", "a", "", True),
        ("capacity", "", "big", False),
    ]
    assert shown["held"]["holds"][0]["failures"] == 3
    assert shown["blind"]["list_error"] == "page 3 was missing"
    fine = shown["fine"]
    assert (fine["vms"], fine["listed_vms"], fine["unknown_vms"], fine["problems"]) == (1, 2, 1, [])


def test_decisions_filtered_sorted_and_paged(manager: Manager, people: People) -> None:
    add_tick(manager, decision("old", "alpha"))
    full = Reason.of(ReasonCode.POD_LIMIT, count=3, limit=3)
    invalid = Reason.of(ReasonCode.INVALID, message="image 'x' has no boot image and flavor for it")
    add_tick(manager, decision("a", "alpha"), decision("a", "beta", full), decision("b", "alpha", invalid))
    add_tick(manager, decision("by hand", "alpha"), ordered_pod="by hand")
    shown = people.get(READS[1]).json()
    assert shown["total"] == 3
    assert shown["decisions"][0] == {
        "pod": "b",
        "endpoint": "alpha",
        "jobs": 3,
        "waiting_cpu": 900,
        "active": 2,
        "in_flight": 1,
        "warranted": 0,
        "planned": 0,
        "launched": 0,
        "failed": 0,
        "clipped_by": "invalid",
        "reasons": ["image 'x' has no boot image and flavor for it"],
    }
    shown = people.get(f"{READS[1]}?text=alpha&sort=pod&descending=false&limit=1&offset=1").json()
    assert ([row["pod"] for row in shown["decisions"]], shown["total"]) == (["b"], 2)
    assert people.get(f"{READS[1]}?sort=secret_key_id").status_code == 422
    assert people.get(f"{READS[1]}?limit=0").status_code == 422


def test_resuming_an_endpoint_drops_its_holds(
    manager: Manager, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    hold(manager, ODD)
    hold(manager, ODD, HoldKind.BOOT, pod="a")
    hold(manager, "other")
    with caplog.at_level(logging.INFO):
        answer = people.post(f"/ui/v1/endpoints/{ODD_IN_ADDRESSES}/resume")
    assert (answer.status_code, answer.json()) == (200, {"dropped": 2})
    assert f"'op' resumed launches on {ODD!r}" in caplog.text
    with manager.store.read() as session:
        assert [row.endpoint for row in session.query(HoldRow)] == ["other"]
    assert people.post(f"/ui/v1/endpoints/{ODD_IN_ADDRESSES}/resume").json() == {"dropped": 0}


def test_resuming_one_pod_drops_nothing_else(
    manager: Manager, people: People, caplog: pytest.LogCaptureFixture
) -> None:
    hold(manager, "alpha")
    for pod in ("a", "b"):
        hold(manager, "alpha", HoldKind.BOOT, pod=pod)
    with caplog.at_level(logging.INFO):
        assert people.post(ACTIONS[0], body='{"pod": "a"}').json() == {"dropped": 1}
        assert people.post(ACTIONS[0], body='{"pod": "a\\nforged line"}').json() == {"dropped": 0}
    assert r"for pod 'a\nforged line'" in caplog.text
    assert "\nforged" not in caplog.text
    with manager.store.read() as session:
        assert {row.pod for row in session.query(HoldRow)} == {"", "b"}


def test_without_a_body_all_is_resumed_and_with_a_wrong_one_nothing(manager: Manager, people: People) -> None:
    hold(manager, "alpha")
    assert people.post(ACTIONS[0], body='{"pods": "a"}').status_code == 422
    assert people.post(ACTIONS[0], body="[").status_code == 422
    assert people.post(ACTIONS[0], body="").json() == {"dropped": 1}


def test_resuming_what_there_is_not(people: People) -> None:
    assert people.post("/ui/v1/endpoints/nowhere/resume").status_code == 404
    assert people.post("/ui/v1/images/nothing/reset").status_code == 404


def test_resetting_an_image(manager: Manager, people: People, caplog: pytest.LogCaptureFixture) -> None:
    with manager.store.write() as session:
        session.add(
            ImageRow(
                name=ODD,
                status=ImageStatus.ERROR,
                changed_at=START,
                defined_at=START,
                failures=5,
                failed_at=START,
                error_message="none of its VMs ever booted",
            )
        )
    first, second = people.get(READS[0]).json()["images"]
    assert (first["name"], first["status"], first["failures"]) == (ODD, "Error", 5)
    assert (second["name"], second["status"]) == ("image", "New")
    with caplog.at_level(logging.INFO):
        assert people.post(f"/ui/v1/images/{ODD_IN_ADDRESSES}/reset").status_code == 204
    assert f"'op' reset image {ODD!r}" in caplog.text
    images = {view["name"]: view for view in people.get(READS[0]).json()["images"]}
    assert (images[ODD]["status"], images[ODD]["failures"], images[ODD]["error_message"]) == ("New", 0, "")


def test_a_decision_that_was_forgotten_meanwhile_is_no_error(manager: Manager, people: People) -> None:
    add_tick(manager, decision("a", "alpha"))
    with manager.store.write() as session:
        for table in (DecisionRow, TickRow):
            session.query(table).delete()
    assert people.get(READS[1]).json()["total"] == 0
