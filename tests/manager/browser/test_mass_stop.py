"""Several VMs are stopped from the page, after a look at which they are."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from tests.manager.browser.visitor import PAGE, Visitor, log_in
from vmdirac.model.states import InstanceStatus, StopReason
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from tests.manager.browser.conftest import Visit
    from tests.servers.airflow_server import AirflowServer

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

POD, ENDPOINT = "lhcb-user", "aws-eu-west-1"


def opened(visitor: Visitor) -> Locator:
    visitor.page.get_by_role("button", name="Stop several…").click()
    return visitor.page.get_by_role("dialog")


def stopped(store: Store) -> list[tuple[str, str, InstanceStatus]]:
    query = select(InstanceRow).where(InstanceRow.stop_reason == StopReason.REQUESTED)
    with store.read() as session:
        return [(row.pod, row.endpoint, row.status) for row in session.scalars(query)]


def test_a_look_and_then_a_stop(visit: Visit, store: Store) -> None:
    before = len(stopped(store))
    visitor = visit()
    dialog = opened(visitor)
    look = dialog.get_by_role("button", name="What would be stopped?")
    dialog.get_by_label("Why").fill("the lab moves")
    assert look.is_disabled(), "nobody stops all by choosing nothing"
    dialog.get_by_label("Pod").select_option(POD)
    dialog.get_by_label("Endpoint").select_option(ENDPOINT)
    dialog.get_by_label("State").select_option("Running")
    look.click()
    found = dialog.get_by_role("status")
    found.wait_for()
    number = int(found.inner_text().split()[0])
    assert f"{number} of pod {POD} on {ENDPOINT}" in found.inner_text()
    assert len(stopped(store)) == before, "it was only a look"
    # Something else is chosen: what was seen is not what would be stopped.
    dialog.get_by_text("By force").click()
    found.wait_for(state="detached")
    look.click()
    dialog.get_by_role("button", name=f"Stop {number} VMs").click()
    dialog.wait_for(state="hidden")
    visitor.page.get_by_text(f"{number} VMs being stopped.").wait_for()
    mine = stopped(store)[before:]
    assert mine == [(POD, ENDPOINT, InstanceStatus.STOPPING)] * number


def test_too_many_need_consent_and_a_dag_that_asks_for_it(visit: Visit, store: Store) -> None:
    before = len(stopped(store))
    visitor = visit()
    dialog = opened(visitor)
    dialog.get_by_label("State").select_option("Running")
    dialog.get_by_label("Why").fill("the lab moves")
    dialog.get_by_role("button", name="What would be stopped?").click()
    dialog.get_by_text("They are more than 10: somebody has to agree first.").wait_for()
    # This Airflow has read no DAG yet. Where it has one, it is tried in tests/integration/test_stop_dag.py.
    dialog.get_by_role("button", name="Ask for consent").click()
    dialog.get_by_text("There is no DAG vmdirac_stop here").wait_for()
    assert len(stopped(store)) == before
    visitor.problems = [problem for problem in visitor.problems if "404" not in problem]


def test_who_may_only_look_sees_no_such_button(browser: Browser, server: AirflowServer, now: datetime) -> None:
    with browser.new_context() as context:
        log_in(context, server, "viewer")
        page = context.new_page()
        page.goto(f"{server.url}{PAGE}")
        page.get_by_role("table", name="Virtual machines").wait_for()
        assert page.get_by_role("button", name="Stop several…").count() == 0
