"""The page's place in Airflow's UI, and who may see it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.visitor import PAGE, WAIT_MS, Visitor, log_in

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.servers.airflow_server import AirflowServer

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

INTERFACE = ("/vmdirac/ui/v1/summary", "/vmdirac/ui/v1/instances")


def come_in(browser: Browser, base_url: str, password: str) -> Visitor:
    """Log in with the form, and go to the page by its entry in the navigation."""
    visitor = Visitor(browser.new_page(viewport={"width": 1280, "height": 800}))
    page = visitor.page
    page.goto(base_url)
    page.get_by_label("username").fill("admin")
    page.get_by_label("password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    entry = page.get_by_role("link", name="VMDIRAC")
    entry.wait_for()
    visitor.problems.clear()  # before the login, Airflow's page asks for what it may not have
    assert entry.locator("img").evaluate("img => img.decode().then(() => img.naturalWidth > 0)")
    entry.click()
    page.get_by_role("heading", name="VMDIRAC", level=1).wait_for()
    return visitor


@pytest.mark.usefixtures("now")
def test_an_entry_in_the_navigation_leads_to_the_page(browser: Browser, server: AirflowServer) -> None:
    visitor = come_in(browser, server.url, server.passwords["admin"])
    visitor.rows.first.wait_for()
    assert visitor.rows.count() == 100
    assert visitor.page.url == server.url + PAGE
    assert visitor.page.title() == "VMDIRAC - Airflow"
    visitor.page.close()
    assert visitor.problems == []


def test_below_a_base_url_with_a_path(browser: Browser, tmp_path: Path) -> None:
    from tests.servers.airflow_server import AirflowServer

    server = AirflowServer(tmp_path / "home")
    base_url = server.environment["AIRFLOW__API__BASE_URL"] = f"{server.url}/af"
    with server:
        visitor = come_in(browser, base_url, server.passwords["admin"])
        visitor.page.get_by_role("heading", name="No virtual machine has been started yet").wait_for()
        assert visitor.page.url == base_url + PAGE
        visitor.page.get_by_role("link", name="Admin > Variables").click()
        visitor.page.wait_for_url(f"{base_url}/variables")
        visitor.page.close()
        assert visitor.problems == []


def test_a_viewer_may_see_it(browser: Browser, server: AirflowServer, now: datetime) -> None:
    with browser.new_context() as context:
        log_in(context, server, "viewer")
        visitor = Visitor(context.new_page())
        visitor.open(server.url + PAGE)
        visitor.button("Running").wait_for()
        assert visitor.range.inner_text() == f"1–100 of {fleet.SIZE} virtual machines"


@pytest.mark.usefixtures("now")
def test_nobody_else_gets_data(browser: Browser, server: AirflowServer) -> None:
    with browser.new_context() as context:
        for path in INTERFACE:
            answer = context.request.get(server.url + path)
            assert answer.status == 401
            assert fleet.PODS[0] not in answer.text()
        page = context.new_page()
        page.goto(server.url + PAGE)
        page.wait_for_url(re.compile("/auth/login"), timeout=WAIT_MS)


def test_its_files_are_looked_at_anew_at_each_visit(browser: Browser, server: AirflowServer) -> None:
    with browser.new_context() as context:
        for name, kind in (("vmdirac.js", "javascript"), ("table.js", "javascript"), ("icon.svg", "image/svg+xml")):
            answer = context.request.get(f"{server.url}/vmdirac/static/{name}")
            assert kind in answer.headers["content-type"]
            assert answer.headers["cache-control"] == "no-cache"
            assert "etag" in answer.headers
