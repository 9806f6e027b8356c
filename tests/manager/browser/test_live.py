"""The page keeps its data fresh, and says so when it can't."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.visitor import SCROLLED, Visitor
from vmdirac.model.states import InstanceStatus
from vmdirac.store.tables import InstanceRow

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Request, Route

    from tests.manager.browser.conftest import Visit
    from tests.servers.airflow_server import AirflowServer
    from vmdirac.store.database import Store

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

INTERFACE = re.compile(r"/vmdirac/ui/v1/(\w+)")
NO_DATA = (
    # status, body, what the page says
    (500, "Internal Server Error", "can't tell (HTTP 500)"),
    (503, '{"detail": "the database cannot be used now"}', "airflow db migrate"),
    (503, "<html>a proxy</html>", "The API server can't be reached"),
    (200, "<html>a proxy</html>", "can't tell (HTTP 200)"),
    (403, '{"detail": "Forbidden"}', "You may not see this"),
    (403, '{"detail": "Invalid JWT token"}', "Your session is over"),
)


def trouble(visitor: Visitor, text: str) -> None:
    """Let the page ask again, in vain: it says `text`, and goes on showing what it had, marked as old."""
    before = visitor.updated.inner_text()
    visitor.page.clock.fast_forward(6000)
    notice = visitor.page.get_by_role("alert").filter(has_text=text)
    notice.wait_for()
    assert before.removeprefix("updated ") in notice.inner_text()
    assert visitor.updated.inner_text() == before
    assert visitor.page.get_by_text("Stale", exact=True).is_visible()
    assert visitor.rows.count() == 100
    assert visitor.problems  # the browser's own words on it
    visitor.problems.clear()


def well_again(visitor: Visitor) -> None:
    """Let the page ask again, with success: it says nothing of trouble any more."""
    visitor.refresh()
    visitor.page.get_by_text("Live", exact=True).wait_for()
    assert visitor.page.get_by_role("alert").count() == 0


def test_a_new_vm_appears_by_itself(visit: Visit, store: Store, now: datetime) -> None:
    visitor = visit()
    with store.write() as session:
        session.add(fleet.instance(fleet.SIZE, InstanceStatus.NEW, now))
    visitor.button("All").get_by_text(str(fleet.SIZE + 1)).wait_for()  # in real time, this once
    visitor.range.get_by_text(f"1–100 of {fleet.SIZE + 1}").wait_for()
    assert visitor.column("Status")[0] == "New"


def test_what_the_user_looks_at_stays_where_it_is(visit: Visit, store: Store, now: datetime) -> None:
    visitor = visit(replace_clock=True)
    page = visitor.page
    page.locator(SCROLLED).evaluate("element => { element.scrollTop = 900 }")
    line = visitor.rows.nth(25)
    line.evaluate("line => getSelection().selectAllChildren(line.querySelector('[data-label=\"VM id\"]'))")
    selected = page.evaluate("getSelection().toString()")
    assert selected
    page.evaluate("document.querySelectorAll('tbody td').forEach(cell => { cell.seen = true })")
    with store.write() as session:
        session.query(InstanceRow).update({InstanceRow.load: 3.21})
    visitor.refresh()
    visitor.table.get_by_text("3.21").first.wait_for()
    assert page.evaluate("getSelection().toString()") == selected
    assert page.locator(SCROLLED).evaluate("element => element.scrollTop") == 900
    assert page.evaluate("[...document.querySelectorAll('tbody td')].every(cell => cell.seen)")


def test_it_asks_for_nothing_while_nobody_looks(visit: Visit) -> None:
    visitor = visit(replace_clock=True)
    visitor.rows.first.wait_for()
    asked: list[str] = []

    def note(request: Request) -> None:
        if match := INTERFACE.search(request.url):
            asked.append(match[1])

    visitor.page.on("request", note)
    visitor.visibility(hidden=True)
    visitor.page.clock.run_for(60_000)
    assert asked == []
    with visitor.new_lines():
        visitor.visibility(hidden=False)
        visitor.visibility(hidden=True)  # before the answer is there
    visitor.page.clock.run_for(60_000)
    assert sorted(asked) == ["instances", "summary"]
    with visitor.new_lines():
        visitor.visibility(hidden=False)
    visitor.refresh()
    assert len(asked) == 6


def test_without_a_connection(visit: Visit, context: BrowserContext) -> None:
    visitor = visit(replace_clock=True)
    visitor.rows.first.wait_for()
    context.set_offline(True)
    try:
        trouble(visitor, "The API server can't be reached")
    finally:
        context.set_offline(False)
    well_again(visitor)


def test_the_session_is_over(visit: Visit, context: BrowserContext, server: AirflowServer) -> None:
    visitor = visit("?sort=pod&descending=false", replace_clock=True)
    visitor.rows.first.wait_for()
    cookies = context.cookies()
    context.clear_cookies()
    trouble(visitor, "Your session is over")
    link = visitor.page.get_by_role("link", name="Log in again")
    assert (link.get_attribute("href") or "").startswith(f"{server.url}/api/v2/auth/login?next=")
    link.click()
    visitor.page.wait_for_url(re.compile(r"/auth/login/?\?next="))
    assert "plugin%2Fvmdirac%3Fsort%3Dpod" in visitor.page.url
    context.add_cookies([dict(cookie) for cookie in cookies])  # type: ignore[misc]


def test_answers_that_are_no_data(visit: Visit) -> None:
    visitor = visit(replace_clock=True)
    visitor.rows.first.wait_for()
    for status, body, says in NO_DATA:
        visitor.page.route(re.compile("/ui/v1/instances"), answering(status, body))
        visitor.problems.append("")  # to the browser, an answer of 200 is no problem
        trouble(visitor, says)
        visitor.page.unroute_all()
        well_again(visitor)


def answering(status: int, body: str) -> Callable[[Route], None]:
    """Answers calls in place of the server."""
    return lambda route: route.fulfill(status=status, body=body)
