"""One instance is stopped from its page, and goes on after all, by whoever may."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.visitor import PAGE, Look, Visitor, log_in
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instances
from vmdirac.store.database import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.servers.airflow_server import AirflowServer

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]


def running(store: Store, now: datetime) -> int:
    row = fleet.instance(400, InstanceStatus.RUNNING, now, registered_at=now)
    with store.write() as session:
        instances.add(session, [row], "made by a test")
    return row.id


def ask(visitor: Visitor, button: str, why: str, answer: str, *, force: bool = False) -> None:
    """Open the dialog, say why, and send it."""
    visitor.page.get_by_role("button", name=button).click()
    dialog = visitor.page.get_by_role("dialog")
    send = dialog.get_by_role("button", name=answer)
    assert send.is_disabled(), "nothing is done without a reason"
    dialog.get_by_label("Why").fill(why)
    if force:
        dialog.get_by_text("By force").click()
    send.click()
    dialog.wait_for(state="hidden")


def reasons(store: Store, instance: int) -> list[str]:
    with store.read() as session:
        return [line.reason for line in instances.history(session, instance)]


def test_it_drains_goes_on_and_is_stopped_by_force(look: Look, store: Store, now: datetime) -> None:
    instance = running(store, now)
    visitor = look(instance)
    ask(visitor, "Stop…", "the lab moves", "Stop it")
    visitor.page.get_by_text(f"Instance {instance} is being stopped.").wait_for()
    ask(visitor, "Let it go on…", "the lab stays", "Let it go on")
    visitor.page.get_by_text(f"Instance {instance} goes on.").wait_for()
    ask(visitor, "Stop…", fleet.HOSTILE, "Stop it", force=True)
    visitor.page.get_by_text(f"Instance {instance} is being stopped.").wait_for()
    assert reasons(store, instance)[1:] == [
        "stopped by admin: the lab moves",
        "admin wants it to go on: the lab stays",
        f"stopped by force by admin: {fleet.HOSTILE}",
    ]
    visitor.page.get_by_role("button", name="Stop…").wait_for(state="detached")
    assert visitor.page.get_by_role("button", name="Let it go on…").count() == 0
    assert visitor.page.evaluate("window.hacked") is None


def test_who_may_only_look_sees_no_such_buttons(
    browser: Browser, server: AirflowServer, store: Store, now: datetime
) -> None:
    instance = running(store, now)
    with browser.new_context() as context:
        log_in(context, server, "viewer")
        page = context.new_page()
        page.goto(f"{server.url}{PAGE}?instance={instance}")
        page.get_by_role("heading", name=f"Instance {instance}").wait_for()
        page.get_by_label("Facts").get_by_text("Since (UTC)").wait_for()
        assert page.get_by_role("button", name="Stop…").count() == 0
