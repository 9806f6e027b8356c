"""The tab with what the scheduler decided and why, and its buttons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Literal

import pytest

from tests.manager.browser import fleet, scheduling_data
from tests.manager.browser.scheduling_data import (
    AWS,
    BAD_DATES,
    BAD_IMAGE,
    BAD_POD,
    BARI,
    CERN,
    GHOST,
    IN_ERROR,
    LIST_ERROR,
    LNF,
    MANY_UNKNOWN,
    NEW_POD,
    NO_BOOT,
    NO_CONNECTION,
    OLD_POD,
    RECONSTRUCTION,
    REFUSED,
    SIMULATION,
    USER,
)
from tests.manager.browser.test_live import answering
from tests.manager.browser.test_looks import CONTRASTS, ENOUGH
from tests.manager.browser.visitor import PAGE, SCROLLED, Visitor, log_in
from vmdirac.model.alert import AlertKind
from vmdirac.model.decision import Decision, Reason, ReasonCode
from vmdirac.model.states import ImageStatus, InstanceStatus, RunningPodStatus
from vmdirac.store import alerts, ticks
from vmdirac.store.tables import EndpointRow, HoldRow, ImageRow, RunningPodRow

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator

    from tests.servers.airflow_server import AirflowServer
    from vmdirac.store.database import Store

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

TAB = f"{PAGE}?tab=scheduling"
INTERFACE = ("/vmdirac/ui/v1/scheduling", "/vmdirac/ui/v1/decisions")


FOCUSED = "name => document.activeElement.innerText === name"


class Scheduling(Visitor):
    """Somebody who looks at the second tab."""

    def _wait_for_data(self) -> None:
        self.section("Last tick").wait_for()

    def section(self, name: str) -> Locator:
        """A part of the page, by its heading."""
        return self.page.get_by_role("region", name=name, exact=True)

    def line(self, table: str, name: str) -> Locator:
        """The line of a table whose first cell begins with a name."""
        cells = self.page.get_by_role("table", name=table, exact=True).locator("tbody tr")
        return cells.filter(has=self.page.locator("td:first-child", has_text=re.compile(rf"^{re.escape(name)}")))

    def cell(self, table: str, name: str, label: str) -> str:
        """What is in one cell of that line."""
        return self.line(table, name).locator(f'td[data-label="{label}"]').inner_text()

    def decisions(self, *labels: str) -> list[tuple[str, ...]]:
        """What is in some columns of the decisions, line by line."""
        table = self.page.get_by_role("table", name="Decisions", exact=True)
        columns = [table.locator(f'td[data-label="{label}"]').all_inner_texts() for label in labels]
        return list(zip(*columns, strict=True))

    def range_is(self, text: str) -> None:
        """Wait until it says that these decisions are shown."""
        self.page.get_by_role("status").get_by_text(text, exact=True).wait_for()


@pytest.fixture
def _tick(store: Store, now: datetime) -> Iterator[None]:
    scheduling_data.fill(store, now)
    yield
    scheduling_data.clear(store)


@pytest.fixture(scope="module")
def tab(context: BrowserContext) -> Scheduling:
    """One for all tests of this file: Airflow's UI takes long to load."""
    return Scheduling(context.new_page())


@pytest.fixture
def visitor(tab: Scheduling, server: AirflowServer, _tick: None) -> Iterator[Scheduling]:
    """An admin at the tab; nothing may go wrong in it."""
    if tab.page.url.startswith(server.url):
        tab.go(TAB)
    else:
        tab.open(server.url + TAB)
    yield tab
    assert tab.problems == []


def test_the_tabs_are_links_that_the_keyboard_reaches_too(visitor: Scheduling, server: AirflowServer) -> None:
    page = visitor.page
    assert page.title() == "VMDIRAC Scheduling - Airflow"
    page.reload()
    visitor.section("Last tick").wait_for()
    tabs = page.get_by_role("tablist", name="Views")
    assert tabs.get_by_role("tab").all_inner_texts() == ["Instances", "Scheduling", "Statistics"]
    chosen = tabs.get_by_role("tab", selected=True)
    assert chosen.inner_text() == "Scheduling"
    chosen.press("ArrowLeft")
    page.wait_for_function(FOCUSED, arg="Instances")
    page.keyboard.press("Enter")
    visitor.rows.first.wait_for()
    assert page.url == server.url + PAGE
    assert page.title() == "VMDIRAC - Airflow"
    page.wait_for_function(FOCUSED, arg="Instances")
    tabs.get_by_role("tab", name="Scheduling").click()
    visitor.section("Last tick").wait_for()
    page.go_back()
    visitor.rows.first.wait_for()


def test_what_a_person_has_to_look_at_comes_first_and_goes_when_it_is_over(visitor: Scheduling, store: Store) -> None:
    shown = visitor.section("Alerts").inner_text()
    assert f"Many unknown VMs: {LNF}" in shown
    assert MANY_UNKNOWN in shown
    assert "4 min ago" in shown
    with store.write() as session:
        alerts.end_alert(session, AlertKind.ORPHANS, LNF, datetime.now(UTC))
    visitor.section("Alerts").wait_for(state="detached")


def test_what_of_an_account_is_used_and_by_whom(visitor: Scheduling) -> None:
    there = [vm for vm in fleet.fleet(datetime.now(UTC)) if vm.status is not InstanceStatus.HALTED]
    ours = sum(vm.processors for vm in there if vm.endpoint == AWS)
    assert visitor.cell("Endpoints", AWS, "Account") == f"{ours + 40} of 256 processors 40 others'"
    assert visitor.cell("Endpoints", CERN, "Account") == "–"


def test_the_last_tick_what_it_was_told_and_by_whom_not(visitor: Scheduling) -> None:
    shown = visitor.section("Last tick").inner_text()
    assert "213 waiting, dirac-lhcb could not be read, 2 started on aws-eu-west-1" in shown
    assert "The demand of dirac-lhcb could not be read\nHTTP 504 from https://dips.example.org" in shown
    assert re.search(r"Planned \(UTC\)\s+20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\s+less than a minute ago", shown)
    assert re.search(r"Age of the demand\s+8 s", shown)
    assert re.search(r"Jobs that no pod serves\s+12", shown)
    assert re.search(r"Job source embedded\s+213 jobs in 3 task queues", shown)


def test_pods_in_all_states(visitor: Scheduling, now: datetime) -> None:
    states = {
        SIMULATION: "Active",
        USER: "Active",
        RECONSTRUCTION: "Active",
        BAD_POD: "Error",
        OLD_POD: "Unactive",
        NEW_POD: "New",
    }
    assert {name: visitor.cell("Running pods", name, "State") for name in states} == states
    assert visitor.cell("Running pods", OLD_POD, "Campaign (UTC)") == "2025-01-01 to 2025-12-31"
    assert visitor.cell("Running pods", USER, "Campaign (UTC)") == "always"
    assert visitor.cell("Running pods", BAD_POD, "Campaign (UTC)") == "–"
    assert visitor.cell("Running pods", RECONSTRUCTION, "Campaign (UTC)").startswith("from 20")
    vms = [row for row in fleet.fleet(now) if row.pod == USER and row.status != "Halted"]
    running = sum(row.status == "Running" for row in vms)
    assert visitor.cell("Running pods", USER, "VMs now").startswith(f"{len(vms)}\n")
    assert f"{running} Running" in visitor.cell("Running pods", USER, "VMs now")
    decided = visitor.cell("Running pods", USER, "What the last tick decided")
    assert decided.startswith("5 VMs warranted, 3 planned, 2 launched, 1 failed")
    assert f"{NO_CONNECTION} on {GHOST}" in decided
    assert visitor.cell("Running pods", BAD_POD, "What the last tick decided") == BAD_DATES
    assert visitor.cell("Running pods", NEW_POD, "What the last tick decided") == "not part of the last tick"
    first = visitor.page.get_by_role("table", name="Running pods").locator("tbody tr").first
    assert first.inner_text().startswith(BAD_POD)


def test_bad_configuration_is_named_first_in_the_decisions(visitor: Scheduling) -> None:
    shown = visitor.decisions("Pod", "Endpoint", "Clipped by", "Reasons")
    assert shown[:2] == [(BAD_POD, "all", "invalid", BAD_DATES), (USER, GHOST, "invalid", NO_CONNECTION)]
    assert [limit for _, _, limit, _ in shown] == [
        *("invalid", "invalid", "probing", "held", "endpoint limit", "–", "–", "–", "–", "unactive")
    ]
    numbers = ("Jobs", "CPU", "Active", "In flight", "Warranted", "Planned", "Launched", "Failed")
    row = next(row for row in visitor.decisions("Pod", "Endpoint", *numbers) if row[:2] == (USER, AWS))
    assert row[2:] == ("71", "71 h", "7", "1", "5", "3", "2", "1")
    assert NO_CONNECTION in visitor.cell("Endpoints", GHOST, "Held launches and problems")


def test_decisions_can_be_filtered_and_sorted_and_that_can_be_linked(
    visitor: Scheduling, server: AirflowServer
) -> None:
    page = visitor.page
    page.get_by_label("Filter by pod or endpoint").press_sequentially("LHCB ce")
    visitor.range_is("1–2 of 2 decisions")
    page.keyboard.type("rn")  # whatever the page asked for meanwhile, the field is still there
    page.wait_for_url(f"{server.url}{TAB}&text=LHCB+cern")
    visitor.range_is("1–2 of 2 decisions")
    page.get_by_role("button", name="Active", exact=True).click()
    page.locator("table[aria-label=Decisions][aria-busy=false]").wait_for()
    assert visitor.decisions("Pod", "Active") == [(SIMULATION, "9"), (USER, "8")]
    page.reload()
    visitor.range_is("1–2 of 2 decisions")
    assert page.get_by_label("Filter by pod or endpoint").input_value() == "LHCB cern"
    page.get_by_label("Filter by pod or endpoint").fill("nothing")
    page.get_by_role("heading", name="No pod and no endpoint is called like “nothing”").wait_for()
    page.get_by_role("button", name="Show all").click()
    visitor.range_is("1–10 of 10 decisions")
    page.get_by_role("button", name=f"Decisions for {OLD_POD}").press("Enter")
    visitor.range_is("1–1 of 1 decision")
    assert page.get_by_label("Filter by pod or endpoint").input_value() == OLD_POD
    assert page.evaluate("document.activeElement.innerText").startswith("Decisions of the last tick")


def test_endpoints_what_holds_launches_there_and_how_old_their_lists_are(visitor: Scheduling) -> None:
    held = visitor.cell("Endpoints", BARI, "Held launches and problems")
    assert re.search(r"auth\s*held until \d\d:\d\d:\d\d UTC, in 35 min", held)
    assert "all launches · since" in held
    assert "4 failures" in held
    assert REFUSED in held
    assert visitor.cell("Endpoints", BARI, "Last complete list (UTC)") == "never"
    probed = visitor.cell("Endpoints", LNF, "Held launches and problems")
    assert re.search(r"boot\s*waits for a probe", probed)
    assert f"pod {RECONSTRUCTION}" in probed
    assert NO_BOOT in probed
    listed = visitor.cell("Endpoints", LNF, "Last complete list (UTC)")
    assert "14 min ago, 27 VMs" in listed
    assert LIST_ERROR in listed
    assert visitor.cell("Endpoints", LNF, "Unknown VMs") == "2"
    avoided = visitor.cell("Endpoints", AWS, "Held launches and problems")
    assert re.search(r"capacity\s*avoided until", avoided)
    assert visitor.cell("Endpoints", CERN, "Held launches and problems") == "none"
    assert visitor.line("Endpoints", CERN).get_by_role("button").count() == 0


def test_resume_drops_what_is_held(visitor: Scheduling, store: Store, server: AirflowServer) -> None:
    visitor.page.get_by_role("button", name=f"Resume launches on {BARI}").press("Enter")
    visitor.page.get_by_role("status").get_by_text(
        f"Launches on {BARI} are tried again at the next tick: 1 hold dropped."
    ).wait_for()
    visitor.line("Endpoints", BARI).get_by_text("none", exact=True).wait_for()
    assert visitor.line("Endpoints", BARI).get_by_role("button").count() == 0
    with store.read() as session:
        assert {row.endpoint for row in session.query(HoldRow)} == {LNF, AWS}
    visitor.page.get_by_role("button", name="Dismiss").click()
    assert "1 hold dropped" not in visitor.page.locator("main").inner_text()
    assert f"'admin' resumed launches on '{BARI}'" in (server.home / "api-server.log").read_text()


def test_reset_takes_an_image_out_of_error(visitor: Scheduling, store: Store) -> None:
    assert visitor.cell("Images", BAD_IMAGE, "State") == "Error"
    assert visitor.cell("Images", BAD_IMAGE, "Failures").startswith("5")
    assert visitor.cell("Images", BAD_IMAGE, "Error") == IN_ERROR
    assert visitor.page.get_by_role("button", name=re.compile("^Reset image")).count() == 1
    visitor.page.get_by_role("button", name=f"Reset image {BAD_IMAGE}").click()
    visitor.page.get_by_role("status").get_by_text(f"Image {BAD_IMAGE} is New again").wait_for()
    visitor.line("Images", BAD_IMAGE).get_by_text("New", exact=True).wait_for()
    with store.read() as session:
        row = session.query(ImageRow).filter_by(name=BAD_IMAGE).one()
        assert (row.status, row.failures) == (ImageStatus.NEW, 0)


def test_an_action_that_fails_says_so_and_may_be_tried_again(visitor: Scheduling) -> None:
    resume = visitor.page.get_by_role("button", name=f"Resume launches on {BARI}")
    for status, body, says in (
        (403, '{"detail": "Forbidden"}', "You may not do this"),
        (503, '{"detail": "the database cannot be used now"}', "can't tell (HTTP 503)"),
        (401, '{"detail": "Not authenticated"}', "Your session is over"),
    ):
        visitor.page.route(re.compile("/resume$"), answering(status, body))
        resume.click()
        visitor.page.get_by_role("alert").filter(has_text=says).wait_for()
        visitor.page.unroute_all()
        assert visitor.problems  # the browser's own words on it
        visitor.problems.clear()
    resume.click()
    visitor.page.get_by_text("1 hold dropped").wait_for()
    assert visitor.page.get_by_role("alert").filter(has_text="Your session is over").count() == 0


@pytest.mark.usefixtures("_tick")
def test_a_viewer_sees_all_of_it_and_no_button(browser: Browser, server: AirflowServer, store: Store) -> None:
    with browser.new_context() as context:
        log_in(context, server, "viewer")
        visitor = Scheduling(context.new_page())
        visitor.open(server.url + TAB)
        assert REFUSED in visitor.cell("Endpoints", BARI, "Held launches and problems")
        assert visitor.page.get_by_role("button", name=re.compile("Resume|Reset")).count() == 0
        address = f"{server.url}/vmdirac/ui/v1/endpoints/{AWS}/resume"
        assert context.request.post(address, data={}).status == 403
    with browser.new_context() as context:
        for path in INTERFACE:
            answer = context.request.get(server.url + path)
            assert answer.status == 401
            assert BARI not in answer.text()
        assert context.request.post(address, data={}).status == 401
    with store.read() as session:
        assert session.query(HoldRow).count() == 3


def test_what_changes_appears_by_itself(visitor: Scheduling, store: Store, now: datetime) -> None:
    with store.write() as session:
        session.query(ImageRow).filter_by(name=BAD_IMAGE).update({ImageRow.status: ImageStatus.VALIDATED})
        scheduling_data.add_tick(session, now, scheduling_data.decisions()[:3])
    visitor.range_is("1–3 of 3 decisions")
    visitor.line("Images", BAD_IMAGE).get_by_text("Validated", exact=True).wait_for()


def test_a_scheduler_that_rests_and_what_was_asked_by_hand(visitor: Scheduling, store: Store, now: datetime) -> None:
    scheduling_data.clear(store)
    with store.write() as session:
        scheduling_data.add_tick(session, now - timedelta(minutes=30), scheduling_data.decisions())
    visitor.page.get_by_text("The last tick began 30 min ago").wait_for()
    assert visitor.page.get_by_role("link", name="vmdirac_scheduler").get_attribute("href") == "/dags/vmdirac_scheduler"
    with store.write() as session:
        ticks.begin(session, now, ordered_pod=USER, ordered_vms=2)
    visitor.page.get_by_text(f"somebody asked for 2 VMs of pod {USER}: at work.").wait_for()
    assert visitor.page.get_by_text("The last tick began 30 min ago").count() == 0


def test_an_empty_installation_says_what_to_do(visitor: Scheduling, store: Store) -> None:
    scheduling_data.clear(store)
    fleet.clear(store)
    page = visitor.page
    for heading in (
        "The scheduler has not run yet",
        "No running pod has been configured yet",
        "Nothing has been decided yet",
        "No endpoint has been used yet",
        "No image has been used yet",
    ):
        page.get_by_role("heading", name=heading).wait_for()
    assert page.get_by_role("table").count() == 0
    links = {link.inner_text(): link.get_attribute("href") for link in page.locator("main a").all()}
    assert links == {
        "Admin > Connections": "/connections",
        "Admin > Variables": "/variables",
        "vmdirac_scheduler": "/dags/vmdirac_scheduler",
    }


def test_nothing_that_a_cloud_said_is_executed_and_all_of_it_can_be_read(visitor: Scheduling, store: Store) -> None:
    said = fleet.HOSTILE + "x" * 400 + " the end"
    with store.write() as session:
        session.query(HoldRow).filter_by(endpoint=BARI).update({HoldRow.message: said})
    line = visitor.line("Endpoints", BARI)
    line.get_by_text("onerror").wait_for()
    assert "the end" not in line.inner_text()
    line.get_by_role("button", name="Read all of it").press("Enter")
    dialog = visitor.page.get_by_role("dialog", name="The whole message")
    assert dialog.locator("bdi").inner_text() == said
    visitor.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert visitor.page.locator("main :is(img, script, a[href^=javascript])").count() == 0
    assert visitor.page.evaluate("globalThis.hacked") is None


def test_everything_can_be_read_in_light_and_dark_on_wide_and_narrow_screens(visitor: Scheduling) -> None:
    page = visitor.page
    schemes: list[Literal["light", "dark"]] = ["light", "dark"]
    try:
        for scheme, width in product(schemes, (1280, 400)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            page.locator(f"html.{scheme}").wait_for()
            texts = page.evaluate(CONTRASTS)
            assert len(texts) > 250
            assert [text for text in texts if text["contrast"] < ENOUGH] == []
            assert (texts[0]["background"] < 0.1) is (scheme == "dark")
            assert page.locator(SCROLLED).evaluate("element => element.scrollWidth <= element.clientWidth")
            for table in page.get_by_role("table").all():
                assert table.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
                assert table.locator("td").evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth + 1)")
    finally:
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1280, "height": 800})


def test_fifty_pods_on_twenty_endpoints(visitor: Scheduling, store: Store, now: datetime) -> None:
    names = [f"a-running-pod-with-quite-a-long-name-{number:02d}" for number in range(50)]
    places = [f"cloud.of.site.example.org:{number:02d}" for number in range(20)]
    jobs = Reason.of(ReasonCode.DEMAND, jobs=123_456, vms=321)
    full = Reason.of(ReasonCode.POD_LIMIT, count=100, limit=100)
    decided = [
        Decision(pod, place, 123_456, 9_876_543_210, 100, 100, 12_345, 1_000, (jobs, full))
        for pod, place in product(names, places)
    ]
    with store.write() as session:
        status = RunningPodStatus.ACTIVE
        session.add_all(RunningPodRow(name=name, status=status, changed_at=now) for name in names)
        session.add_all(EndpointRow(name=place, changed_at=now) for place in places)
        scheduling_data.add_tick(session, now, decided)
    page = visitor.page
    visitor.range_is("1–25 of 1,000 decisions")
    table = page.get_by_role("table", name="Running pods").locator("tbody tr")
    assert table.count() == 10
    page.get_by_role("button", name="Show all 56 running pods").click()
    assert table.count() == 56
    assert (
        page.get_by_role("button", name="Show all 24 endpoints").count()
        + page.get_by_role("button", name="Show all 25 endpoints").count()
    )
    assert page.locator(SCROLLED).evaluate("element => element.scrollWidth <= element.clientWidth")
    for shown in page.get_by_role("table").all():
        assert shown.locator("td").evaluate_all("all => all.every(e => e.scrollWidth <= e.clientWidth + 1)")
    page.get_by_role("button", name="Last page").click()
    visitor.range_is("976–1,000 of 1,000 decisions")
