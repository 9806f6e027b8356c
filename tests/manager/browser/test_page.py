"""What the page shows, and how it is filtered, sorted and paged through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.visitor import PAGE, Visitor
from vmdirac.model.states import InstanceStatus

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from tests.servers.airflow_server import AirflowServer
    from vmdirac.store.database import Store

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

LABELS = ("Image", "Pod", "Endpoint", "Status", "VM id", "IP", "Load", "Uptime", "Jobs", "Last update (UTC)", "Error")
HALTED = fleet.COUNTS[InstanceStatus.HALTED]


Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def tab(context: BrowserContext) -> Visitor:
    """One for all tests of this file: Airflow's UI takes long to load."""
    return Visitor(context.new_page())


@pytest.fixture
def visit(tab: Visitor, server: AirflowServer, now: datetime) -> Iterator[Visit]:
    """Opens the page; nothing may go wrong in it."""

    def open_page(query: str = "") -> Visitor:
        if tab.page.url.startswith(server.url):
            tab.go(f"{PAGE}{query}")
        else:
            tab.open(f"{server.url}{PAGE}{query}")
        return tab

    yield open_page
    assert tab.problems == []


def seconds(uptime: str) -> int:
    hours, minutes, rest = uptime.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


def test_the_counts(visit: Visit) -> None:
    visitor = visit()
    shown = [text.split("\n") for text in visitor.counts.get_by_role("button").all_inner_texts()]
    expected = {"All": fleet.SIZE} | {status.replace("_", " "): count for status, count in fleet.COUNTS.items()}
    assert [(label, int(count)) for count, label in shown] == list(expected.items())
    for state, count in fleet.JOBS.items():
        assert visitor.jobs.locator(f'[data-state="{state}"]').inner_text().split() == [str(count), state]


def test_a_line_has_all_that_is_known_of_its_vm(visit: Visit, now: datetime) -> None:
    visitor = visit("?status=Stopping&sort=pod&descending=false")
    assert visitor.table.get_by_role("columnheader").all_inner_texts() == list(LABELS)
    stopping = [row for row in fleet.fleet(now) if row.status is InstanceStatus.STOPPING]
    # The database gives equal ones newest first.
    row = min(reversed(stopping), key=lambda row: row.pod)
    line = visitor.rows.first
    shown = dict(zip(LABELS, line.get_by_role("cell").all_inner_texts(), strict=True))
    assert shown["Image"] == row.image
    assert shown["Pod"] == row.pod
    assert shown["Endpoint"] == row.endpoint
    assert shown["Status"].split("\n") == ["Stopping", row.drain_phase, str(row.stop_reason).replace("_", " ")]
    assert shown["VM id"] == row.cloud_id
    assert shown["IP"] == row.private_ip
    assert shown["Load"] == f"{row.load:.2f}"
    assert seconds(shown["Uptime"]) == int(row.uptime)
    assert shown["Jobs"] == "0"
    assert row.heard_at is not None
    assert shown["Last update (UTC)"] == row.heard_at.strftime("%Y-%m-%d %H:%M:%S")
    assert line.locator("time").get_attribute("title") == "less than a minute ago"
    assert shown["Error"] == ""


def test_what_a_vm_has_not_told_yet_is_no_number(visit: Visit) -> None:
    visitor = visit("?status=New")
    line = dict(zip(LABELS, visitor.rows.first.get_by_role("cell").all_inner_texts(), strict=True))
    assert [line[label] for label in ("VM id", "IP", "Load", "Uptime", "Jobs")] == ["–"] * 5


def test_the_last_update_is_what_came_last(visit: Visit, store: Store, now: datetime) -> None:
    fleet.clear(store)
    with store.write() as session:
        heard, changed = now - timedelta(hours=3), now - timedelta(hours=2)
        session.add(fleet.instance(1, InstanceStatus.HALTED, now, heard_at=heard, changed_at=changed))
    visitor = visit()
    assert visitor.column("Last update (UTC)") == [changed.strftime("%Y-%m-%d %H:%M:%S")]
    assert visitor.rows.locator("time").get_attribute("title") == "2 h ago"


def test_nothing_that_a_vm_or_a_cloud_said_is_executed(visit: Visit) -> None:
    visitor = visit("?status=Running&sort=uptime&descending=true&limit=25")
    line = visitor.rows.filter(has_text="onerror")
    assert line.locator('[data-label="VM id"]').inner_text() == fleet.HOSTILE
    error = line.locator('[data-label="Error"] button')
    assert error.inner_text() == fleet.HOSTILE
    assert error.get_attribute("title") == fleet.HOSTILE
    error.click()
    dialog = visitor.page.get_by_role("dialog", name=f"Error of {fleet.HOSTILE}")
    assert dialog.locator("bdi").inner_text() == fleet.HOSTILE
    visitor.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert visitor.page.locator("main :is(img, script, a[href^=javascript])").count() == 0
    assert visitor.page.evaluate("globalThis.hacked") is None


def test_an_error_can_be_read_in_full(visit: Visit) -> None:
    visitor = visit("?status=Error")
    visitor.rows.first.get_by_role("button").press("Enter")
    dialog = visitor.page.get_by_role("dialog")
    assert fleet.QUOTA_ERROR in dialog.inner_text()


def test_a_count_filters_the_table_and_shows_that_it_does(visit: Visit) -> None:
    visitor = visit()
    stalled, every = visitor.button("Stalled"), visitor.button("All")
    assert every.get_attribute("aria-pressed") == "true"
    with visitor.new_lines():
        stalled.press("Enter")
    assert stalled.evaluate("button => button === document.activeElement")
    assert set(visitor.column("Status")) == {"Stalled"}
    assert visitor.rows.count() == fleet.COUNTS[InstanceStatus.STALLED]
    assert stalled.get_attribute("aria-pressed") == "true"
    assert every.get_attribute("aria-pressed") == "false"
    assert visitor.page.url.endswith("?status=Stalled")

    with visitor.new_lines():
        stalled.click()  # again: no filter any more
    assert visitor.range.inner_text() == f"1–100 of {fleet.SIZE} virtual machines"
    with visitor.new_lines():
        visitor.page.go_back()
    assert visitor.range.inner_text() == "1–2 of 2 virtual machines"


def test_all_but_those_that_are_gone(visit: Visit) -> None:
    visitor = visit()
    with visitor.new_lines():
        visitor.page.get_by_label("Status").select_option("All but Halted")
    assert visitor.range.inner_text().endswith(f" of {fleet.SIZE - HALTED} virtual machines")
    assert "Halted" not in visitor.column("Status")
    assert visitor.button("Halted").get_attribute("aria-pressed") == "false"
    assert visitor.button("Running").get_attribute("aria-pressed") == "true"


def test_the_server_sorts(visit: Visit, now: datetime) -> None:
    visitor = visit("?limit=25")
    loads = sorted(f"{row.load:.2f}" for row in fleet.fleet(now) if row.heard_at)
    visitor.sort_by("Load")
    assert visitor.column("Load") == loads[::-1][:25]
    assert visitor.header("Load").get_attribute("aria-sort") == "descending"
    visitor.sort_by("Load")
    assert visitor.header("Load").get_attribute("aria-sort") == "ascending"
    least = visitor.column("Load")  # of those that told none yet it is 0
    assert least == ["–"] * (fleet.SIZE - len(loads)) + loads[: 25 - fleet.SIZE + len(loads)]
    visitor.sort_by("Load")  # a third time: the newest first again
    assert visitor.header("Load").get_attribute("aria-sort") == "none"
    visitor.sort_by("Endpoint")
    assert set(visitor.column("Endpoint")) == {min(fleet.ENDPOINTS)}
    assert visitor.header("Endpoint").get_attribute("aria-sort") == "ascending"
    assert visitor.header("IP").get_by_role("button").count() == 0


def test_going_through_the_pages(visit: Visit) -> None:
    visitor = visit()
    assert visitor.range.inner_text() == "1–100 of 120 virtual machines"
    with visitor.new_lines():
        visitor.page.get_by_label("Rows a page").select_option("25")
    seen = set(visitor.column("Last update (UTC)"))
    assert visitor.page.get_by_role("button", name="Previous page").is_disabled()
    with visitor.new_lines():
        visitor.page.get_by_role("button", name="Next page").click()
    assert visitor.range.inner_text() == "26–50 of 120 virtual machines"
    assert visitor.rows.count() == 25
    assert not seen & set(visitor.column("Last update (UTC)"))
    with visitor.new_lines():
        visitor.page.get_by_role("button", name="Last page").click()
    assert visitor.range.inner_text() == "101–120 of 120 virtual machines"
    assert visitor.rows.count() == 20
    assert visitor.page.get_by_role("button", name="Next page").is_disabled()


def test_an_address_that_makes_no_sense(visit: Visit) -> None:
    visitor = visit("?status=Dead&sort=secret_key_id&limit=7&page=-1")
    assert visitor.range.inner_text() == "1–100 of 120 virtual machines"


def test_a_page_that_is_not_there_any_more(visit: Visit) -> None:
    visitor = visit("?limit=50&page=77")
    visitor.page.wait_for_url(re.compile(r"\?limit=50&page=3$"))
    visitor.range.get_by_text("101–120 of 120 virtual machines").wait_for()


def test_no_vm_in_the_chosen_state(visit: Visit, store: Store, now: datetime) -> None:
    fleet.clear(store)
    with store.write() as session:
        session.add(fleet.instance(1, InstanceStatus.RUNNING, now))
    visitor = visit("?status=Stalled&status=Error")
    visitor.page.get_by_role("heading", name="No virtual machine is Stalled or Error now").wait_for()
    visitor.page.get_by_role("button", name="Show all").click()
    visitor.range.get_by_text("1–1 of 1 virtual machine", exact=True).wait_for()


def test_before_the_first_vm_it_says_what_to_do(visit: Visit, store: Store) -> None:
    fleet.clear(store)
    visitor = visit()
    visitor.page.get_by_role("heading", name="No virtual machine has been started yet").wait_for()
    assert visitor.table.count() == 0
    assert visitor.button("All").inner_text().startswith("0")
    links = {link.inner_text(): link.get_attribute("href") for link in visitor.page.locator("main a").all()}
    assert links == {
        "Admin > Connections": "/connections",
        "Admin > Variables": "/variables",
        "vmdirac_scheduler": "/dags/vmdirac_scheduler",
    }
