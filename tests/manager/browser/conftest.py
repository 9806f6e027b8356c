"""One Airflow for all tests of the page, with the plugin of this checkout and a fleet in its database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.visitor import PAGE, Look, Visitor, log_in
from tests.servers import chromium, missing
from tests.servers.airflow_server import AirflowServer
from vmdirac.store.database import Store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

Visit = Callable[..., Visitor]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowServer]:
    """A running API server."""
    if reason := chromium.unavailable():
        missing(reason)
    with AirflowServer(tmp_path_factory.mktemp("airflow")) as server:
        yield server


@pytest.fixture(scope="package")
def store(server: AirflowServer) -> Iterator[Store]:
    """Its database, ours."""
    store = Store(f"sqlite:///{server.home / 'vmdirac.db'}")
    yield store
    store.close()


@pytest.fixture
def now(store: Store) -> datetime:
    """The moment at which the database holds the fleet."""
    now = datetime.now(UTC)
    fleet.fill(store, now)
    return now


@pytest.fixture(scope="module")
def context(browser: Browser, server: AirflowServer) -> Iterator[BrowserContext]:
    """The profile of an admin's browser. One for a module: Airflow's own page is large, and it keeps it."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        log_in(context, server, "admin")
        yield context


@pytest.fixture
def visit(context: BrowserContext, server: AirflowServer, now: datetime) -> Iterator[Visit]:
    """Opens the page in a tab of the admin's; nothing may go wrong in it, but for `problems` that a test takes out."""
    visitors: list[Visitor] = []

    def open_tab(query: str = "", *, replace_clock: bool = False) -> Visitor:
        visitor = Visitor(context.new_page())
        visitors.append(visitor)
        if replace_clock:
            visitor.page.clock.install()
        visitor.open(f"{server.url}{PAGE}{query}")
        return visitor

    yield open_tab
    for visitor in visitors:
        visitor.page.close()
        assert visitor.problems == []


@pytest.fixture(scope="module")
def tab(context: BrowserContext) -> Visitor:
    return Visitor(context.new_page())


@pytest.fixture
def look(tab: Visitor, server: AirflowServer, now: datetime) -> Iterator[Look]:
    """Opens the page of an instance; nothing may go wrong in it."""

    def open_page(instance: int) -> Visitor:
        tab.page.goto(f"{server.url}{PAGE}?instance={instance}")
        tab.page.get_by_role("heading", name=f"Instance {instance}").wait_for()
        return tab

    yield open_page
    assert tab.problems == []
