"""More VMs than are stopped unasked, in a real Airflow: from the page to the DAG, to whoever agrees, to the stop."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

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

pytestmark = [pytest.mark.airflow, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 200
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


def asks(server: AirflowServer, run: str) -> bool:
    """Whether the task that asks waits for an answer."""
    address = f"{server.url}/api/v2/dags/vmdirac_stop/dagRuns/{run}/taskInstances"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {server.token('admin')}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        states = {task["task_id"]: task["state"] for task in json.load(answer)["task_instances"]}
    assert "failed" not in states.values(), states
    return states.get("approve") == "awaiting_input"


def test_many_are_stopped_when_somebody_agrees(browser: Browser, server: AirflowServer, store: Store) -> None:
    now = datetime.now(UTC)
    rows = [fleet.instance(n, InstanceStatus.RUNNING, now, registered_at=now, pod="doomed") for n in range(MANY)]
    spared = fleet.instance(MANY, InstanceStatus.RUNNING, now, registered_at=now, pod="spared")
    with store.write() as session:
        instances.add(session, [*rows, spared], "made by a test")
    doomed = [row.id for row in rows]

    def counts() -> dict[InstanceStatus, int]:
        with store.read() as session:
            return instances.counts(session)

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
        consent.click()
        page.get_by_role("link", name="Consent is asked for.").click()
        page.wait_for_url(re.compile(r"/dags/vmdirac_stop/runs/"))
        run = page.url.split("/runs/")[1].split("/")[0]
        assert counts() == {InstanceStatus.RUNNING: MANY + 1}
        # Airflow's page of a task does not look again until there is one.
        until(lambda: asks(server, run), "somebody is asked")
        page.goto(f"{server.url}/dags/vmdirac_stop/runs/{run}/tasks/approve/required_actions")
        page.get_by_text(f"Stop {MANY} VMs?").first.wait_for()
        page.get_by_text(f"{MANY} drain: they finish their jobs first").first.wait_for()
        assert counts() == {InstanceStatus.RUNNING: MANY + 1}, "nobody has agreed yet"
        page.get_by_role("button", name="Approve").click()
        until(lambda: counts() == {InstanceStatus.RUNNING: 1, InstanceStatus.STOPPING: MANY}, "they are being stopped")
    with store.read() as session:
        says = {instances.history(session, number)[-1].reason for number in doomed}
        assert len(says) == 1
        assert re.fullmatch(r"stopped by admin in run manual__\S+, as admin agreed: the lab moves", says.pop())
