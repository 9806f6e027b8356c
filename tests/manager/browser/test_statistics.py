"""The tab that says how things went."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Literal

import pytest

from tests.manager.browser import fleet
from tests.manager.browser.test_looks import CONTRASTS, ENOUGH
from tests.manager.browser.visitor import PAGE, SCROLLED, Visitor
from vmdirac.model.event import Event, EventKind
from vmdirac.model.states import InstanceStatus
from vmdirac.store import counting, instances, sizes
from vmdirac.store.database import Store
from vmdirac.store.tables import TotalRow

if TYPE_CHECKING:
    from tests.servers.airflow_server import AirflowServer

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

POD = f"pod {fleet.HOSTILE}"


@pytest.fixture
def boots(store: Store, now: datetime) -> None:
    """Three VMs that took a minute, two and an hour to boot."""
    with store.write() as session:
        for number, minutes in enumerate((1, 2, 60), 300):
            began = now - timedelta(hours=2)
            row = fleet.instance(number, InstanceStatus.SUBMITTED, now, pod=POD, created_at=began)
            instances.add(session, [row], "made by a test")
            item = instances.get(session, row.id)
            assert item is not None
            instances.change(session, item, began + timedelta(minutes=minutes), "booted", to=InstanceStatus.RUNNING)
        halts = [Event(EventKind.HALT, now, what="boot_deadline")] * 2
        ticks = [Event(EventKind.TICK, now, seconds=seconds) for seconds in (2, 4)]
        job = Event(EventKind.JOB, now, what="done", seconds=7200)
        session.query(TotalRow).delete()
        counting.add_totals(session, [*halts, *ticks, job])
        sizes.keep(session, {"vmdirac_jobs": 1234, "vmdirac_orphans": 0}, now)


@pytest.fixture
def statistics(tab: Visitor, server: AirflowServer, boots: None) -> Iterator[Visitor]:
    tab.page.goto(f"{server.url}{PAGE}?tab=statistics")
    tab.page.get_by_role("table", name="Time in phases").wait_for()
    yield tab
    assert tab.problems == []


def test_times_in_phases(statistics: Visitor) -> None:
    table = statistics.page.get_by_role("table", name="Time in phases")
    line = table.locator("tbody tr").filter(has_text=POD)
    assert line.count() == 1
    assert {
        label: line.locator(f'td[data-label="{label}"]').inner_text()
        for label in ("Pod", "Phase", "Stays", "p50", "p90", "p99")
    } == {"Pod": POD, "Phase": "boot", "Stays": "3", "p50": "2 min", "p90": "60 min", "p99": "60 min"}
    assert statistics.page.evaluate("window.hacked") is None


def test_what_happened(statistics: Visitor) -> None:
    table = statistics.page.get_by_role("table", name="What happened")
    rows = table.locator("tbody tr").all()
    assert [[cell.inner_text() for cell in row.locator("td").all()] for row in rows] == [
        ["VMs gone: boot deadline", "2", ""],
        ["Ticks", "2", "3 s each"],
        ["Jobs: done", "1", "2 h of CPU"],
    ]


def test_how_large_tables_are(statistics: Visitor) -> None:
    rows = statistics.page.get_by_role("table", name="Table sizes").locator("tbody tr").all()
    assert [[cell.inner_text() for cell in row.locator("td").all()] for row in rows] == [
        ["jobs", "1,234"],
        ["orphans", "0"],
    ]


def test_it_can_be_read_on_any_screen(statistics: Visitor) -> None:
    page = statistics.page
    schemes: list[Literal["light", "dark"]] = ["light", "dark"]
    for scheme, width in product(schemes, (1280, 400)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.locator(f"html.{scheme}").wait_for()
        texts = page.evaluate(CONTRASTS)
        assert len(texts) > 10
        assert [text for text in texts if text["contrast"] < ENOUGH] == []
        assert page.locator(SCROLLED).evaluate("element => element.scrollWidth <= element.clientWidth")
