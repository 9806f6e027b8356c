"""Numbers and times as people read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.servers.airflow_server import AirflowServer

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

CALL = "([name, values]) => import('/vmdirac/static/format.js').then(module => module[name](...values))"
MOMENT = "2026-03-01T12:00:00.123456Z"


@pytest.fixture(scope="module")
def page(browser: Browser, server: AirflowServer) -> Iterator[Page]:
    """Any page of the server's, so that its modules can be imported."""
    with browser.new_page(timezone_id="Pacific/Auckland", locale="de-DE") as page:
        page.goto(f"{server.url}/vmdirac/static/icon.svg")
        yield page


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("load", [0], "0.00"),
        ("load", [12.345], "12.35"),
        ("uptime", [0], "0:00:00"),
        ("uptime", [59.999], "0:00:59"),
        ("uptime", [3600], "1:00:00"),
        ("uptime", [100 * 3600 + 61], "100:01:01"),
        ("dateAndTime", [MOMENT], "2026-03-01 12:00:00"),
        ("dateAndTime", ["2026-03-01T23:30:00-01:00"], "2026-03-02 00:30:00"),
        ("clock", [MOMENT], "12:00:00 UTC"),
        ("age", ["2026-03-01T11:59:00.2Z", MOMENT], "less than a minute ago"),
        ("age", ["2026-03-01T11:59:00.1Z", MOMENT], "1 min ago"),
        ("age", ["2026-03-01T11:00:01Z", MOMENT], "59 min ago"),
        ("age", ["2026-03-01T11:00:00Z", MOMENT], "1 h ago"),
        ("age", ["2026-02-27T12:00:01Z", MOMENT], "47 h ago"),
        ("age", ["2026-02-27T12:00:00Z", MOMENT], "2 days ago"),
        ("age", ["2026-03-01T12:00:01Z", MOMENT], "less than a minute ago"),  # heard after the counts were taken
        ("whole", [1234567], "1,234,567"),
        ("duration", [0], "0 s"),
        ("duration", [89.4], "89 s"),
        ("duration", [90], "2 min"),
        ("duration", [5399], "90 min"),
        ("duration", [5400], "2 h"),
        ("duration", [47 * 3600], "47 h"),
        ("duration", [48 * 3600], "2 days"),
        ("cpu", [45], "45 s"),
        ("cpu", [5400], "1.5 h"),
        ("cpu", [99.96 * 3600], "100 h"),
        ("cpu", [12_345_678 * 3600], "12.3M h"),
        ("short", [9999], "9,999"),
        ("short", [12345], "12.3k"),
        ("ahead", ["2026-03-01T12:00:30Z", MOMENT], "in a minute"),
        ("ahead", ["2026-03-01T12:35:00Z", MOMENT], "in 35 min"),
        ("ahead", ["2026-03-01T14:00:00Z", MOMENT], "in 2 h"),
        ("count", [1, "instance"], "1 instance"),
        ("count", [0, "instance"], "0 instances"),
        ("count", [1234567, "instance"], "1,234,567 instances"),
    ],
)
def test_what_people_read(page: Page, name: str, values: list[Any], text: str) -> None:
    assert page.evaluate(CALL, [name, values]) == text
