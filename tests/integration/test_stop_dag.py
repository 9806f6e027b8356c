"""More VMs than are stopped unasked, in a real Airflow: from the page to the DAG, to whoever agrees, to the stop."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.visitor import PAGE, WAIT_MS, log_in
from tests.servers import chromium, missing
from tests.servers.airflow_environment import CHECKOUT
from tests.servers.airflow_server import AirflowServer
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instances
from vmdirac.store.database import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.airflow, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(1200)]

PATIENCE_S = 500
MANY = 11


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    if reason := chromium.unavailable():
        missing(reason)
    home = tmp_path_factory.mktemp("airflow")
    (home / "dags").mkdir()
    shutil.copy(CHECKOUT / "dags" / "vmdirac_stop.py", home / "dags")
    environment = {"AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags")}
    with AirflowServer(home, components=("scheduler", "dag-processor"), environment=environment) as started:
        yield started


@pytest.fixture
def store(server: AirflowServer) -> Iterator[Store]:
    made = Store(f"sqlite:///{server.home / 'vmdirac.db'}")
    yield made
    made.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def call(server: AirflowServer, path: str, method: str = "GET", body: object = None) -> Any:
    """Airflow's own interface, below the DAG."""
    request = urllib.request.Request(
        f"{server.url}/api/v2/dags/vmdirac_stop/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.token('admin')}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def states(server: AirflowServer, run: str) -> dict[str, str | None]:
    """Of the tasks of a run."""
    tasks = call(server, f"dagRuns/{run}/taskInstances")["task_instances"]
    found = {task["task_id"]: task["state"] for task in tasks}
    assert "failed" not in found.values(), found
    return found


def asks(server: AirflowServer, run: str) -> bool:
    """Whether the task that asks waits for an answer."""
    return states(server, run).get("approve") == "awaiting_input"


def run_vms(store: Store, numbers: Iterable[int], pod: str) -> list[int]:
    """VMs that run, as if they had been started."""
    now = datetime.now(UTC)
    rows = [fleet.instance(number, InstanceStatus.RUNNING, now, registered_at=now, pod=pod) for number in numbers]
    with store.write() as session:
        instances.add(session, rows, "made by a test")
    return [row.id for row in rows]


def statuses(store: Store, pod: str) -> Counter[InstanceStatus]:
    """Of the VMs of a pod."""
    with store.read() as session:
        return Counter(item.status for item in instances.unfinished(session) if item.pod == pod)


def test_many_are_stopped_when_somebody_agrees(browser: Browser, server: AirflowServer, store: Store) -> None:
    doomed = run_vms(store, range(MANY), "doomed")
    run_vms(store, [MANY], "spared")
    with browser.new_context() as context:
        log_in(context, server, "admin")
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{server.url}{PAGE}")
        page.get_by_role("button", name="Stop several…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Pod").select_option("doomed")
        dialog.get_by_label("Why").fill("the lab moves")
        dialog.get_by_role("button", name="What would be stopped?").click()
        consent = dialog.get_by_role("button", name="Ask for consent")
        consent.wait_for()
        # It fits too, but nobody has seen it.
        late = run_vms(store, [MANY + 1], "doomed")
        consent.click()
        page.get_by_role("link", name="Consent is asked for.").click()
        page.wait_for_url(re.compile(r"/dags/vmdirac_stop/runs/"))
        run = page.url.split("/runs/")[1].split("/")[0]
        # Airflow's page of a task does not look again until there is one.
        until(lambda: asks(server, run), "somebody is asked")
        page.goto(f"{server.url}/dags/vmdirac_stop/runs/{run}/tasks/approve/required_actions")
        page.get_by_text(f"Stop {MANY} VMs?").first.wait_for()
        page.get_by_text(f"{MANY} drain: they finish their jobs first").first.wait_for()
        # Which they are, by their numbers.
        page.get_by_text(re.compile(r"\d+ of pod doomed on \S+: \d+")).first.wait_for()
        assert statuses(store, "doomed") == {InstanceStatus.RUNNING: MANY + 1}, "nobody has agreed yet"
        page.get_by_role("button", name="Approve").click()
        stopped = {InstanceStatus.RUNNING: 1, InstanceStatus.STOPPING: MANY}

        def are_being_stopped() -> bool:
            states(server, run)  # fails if a task does
            return statuses(store, "doomed") == stopped

        until(are_being_stopped, "they are being stopped")
    assert statuses(store, "spared") == {InstanceStatus.RUNNING: 1}
    with store.read() as session:
        says = {instances.history(session, number)[-1].reason for number in doomed}
        left = instances.get(session, late[0])
        assert left is not None
        assert left.status is InstanceStatus.RUNNING
        assert len(says) == 1
        assert re.fullmatch(r"stopped by admin in run manual__\S+, as admin agreed: the lab moves", says.pop())


def test_none_is_stopped_when_somebody_refuses(server: AirflowServer, store: Store) -> None:
    run_vms(store, range(100, 100 + MANY), "kept")
    body = {"logical_date": None, "conf": {"pods": ["kept"], "force": True, "why": "by mistake"}}
    run = call(server, "dagRuns", "POST", body)["dag_run_id"]
    until(lambda: asks(server, run), "somebody is asked")
    refused = {"chosen_options": ["Reject"], "params_input": {}}
    call(server, f"dagRuns/{run}/taskInstances/approve/-1/hitlDetails", "PATCH", refused)
    until(lambda: call(server, f"dagRuns/{run}")["state"] == "success", "the run ends")
    assert states(server, run) == {"preview": "success", "approve": "success", "stop": "skipped"}
    assert statuses(store, "kept") == {InstanceStatus.RUNNING: MANY}
