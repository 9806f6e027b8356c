"""Somebody who looks at the page with a browser, and notices everything that goes wrong in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page

    from tests.servers.airflow_server import AirflowServer

PAGE = "/plugin/vmdirac"
WAIT_MS = 60_000
"""For everything that is waited for: it comes at once, but not while a slow machine does much else."""

SCROLLED = "[data-testid=main-content]"
"""The part of Airflow's page that scrolls."""


class Visitor:
    """A tab of a logged-in user."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._hear)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.problems.append(message.text)

    def open(self, url: str) -> None:
        """Open an address of the page and wait for the data."""
        self.page.goto(url)
        self._wait_for_data()

    def go(self, address: str) -> None:
        """Go to an address of the page as a link of Airflow's UI would, without loading all of it again."""
        self._push("/plugin/elsewhere")
        self.page.locator("main").wait_for(state="detached")
        self._push(address)
        self._wait_for_data()

    def _push(self, address: str) -> None:
        self.page.evaluate(
            "address => { history.pushState(null, '', address); dispatchEvent(new PopStateEvent('popstate')); }",
            address,
        )

    def _wait_for_data(self) -> None:
        self.counts.get_by_role("button", name=re.compile(r"^\d+ All$")).wait_for()

    @property
    def counts(self) -> Locator:
        """The counts of instances."""
        return self.page.get_by_role("region", name="Virtual machines")

    @property
    def jobs(self) -> Locator:
        """The counts of jobs."""
        return self.page.get_by_role("region", name="Jobs of the embedded queue")

    @property
    def table(self) -> Locator:
        """The table of instances."""
        return self.page.get_by_role("table", name="Virtual machines")

    @property
    def rows(self) -> Locator:
        """Its lines, without the header."""
        return self.table.locator("tbody tr")

    @property
    def range(self) -> Locator:
        """Which part of the table is shown."""
        return self.page.get_by_role("status").filter(has_text="virtual machine")

    @property
    def updated(self) -> Locator:
        """When the data was read."""
        return self.page.get_by_text(re.compile(r"^updated \d\d:\d\d:\d\d UTC$"))

    def button(self, name: str) -> Locator:
        """One of the buttons with which the table is filtered, by the state's name."""
        return self.counts.get_by_role("button", name=re.compile(rf"^[\d,]+ {name}$"))

    def column(self, label: str) -> list[str]:
        """What is in a column, line by line."""
        return self.table.locator(f'td[data-label="{label}"]').all_inner_texts()

    def header(self, label: str) -> Locator:
        """A column's header."""
        return self.table.get_by_role("columnheader", name=label)

    def sort_by(self, label: str) -> None:
        """Click a column's header and wait for the lines in the new order."""
        with self.new_lines():
            self.header(label).get_by_role("button").click()

    @contextmanager
    def new_lines(self) -> Iterator[None]:
        """What is done inside makes the page ask for other lines; at the end they are there."""
        with self.page.expect_response(re.compile(r"/vmdirac/ui/v1/instances\?")) as answer:
            yield
        assert answer.value.ok
        self.page.locator("table[aria-busy=false], main:not(:has(table))").first.wait_for()

    def refresh(self) -> None:
        """Let the time pass after which the page asks again, and wait for what it then shows.

        The page's clock must have been replaced before it was opened.
        """
        with self.new_lines():
            self.page.clock.fast_forward(6000)

    def visibility(self, *, hidden: bool) -> None:
        """Put the tab behind another one, or back; a headless browser shows all its tabs."""
        self.page.evaluate(
            """hidden => {
                Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )


def log_in(context: BrowserContext, server: AirflowServer, user: str) -> None:
    """Make a user logged in, without the form."""
    context.add_cookies([{"name": "_token", "value": server.token(user), "url": server.url}])


Look = Callable[[int], Visitor]
"""Opens the page of an instance."""


def fact(visitor: Visitor, label: str) -> Locator:
    """What is said behind a label."""
    term = visitor.page.locator("dt").get_by_text(label, exact=True)
    return visitor.page.locator("dl > div").filter(has=term).locator("dd")
