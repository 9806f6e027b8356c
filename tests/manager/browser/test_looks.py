"""The page can be read: in light and in dark, on a wide and on a narrow screen."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.manager.browser.visitor import SCROLLED
from vmdirac.model.states import InstanceStatus

if TYPE_CHECKING:
    from tests.manager.browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text()
LABEL = "cell => getComputedStyle(cell, '::before').display"
COLORS = "all => all.map(e => ({ state: e.dataset.state, color: getComputedStyle(e).backgroundColor }))"
ENOUGH = 4.5  # WCAG 2.2, level AA, for text of this size


def test_everything_can_be_read(visit: Visit, tmp_path: Path) -> None:
    visitor = visit("?limit=200")
    page = visitor.page
    visitor.rows.first.wait_for()
    schemes: list[Literal["light", "dark"]] = ["light", "dark"]
    for scheme, width in product(schemes, (1280, 400)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        page.locator(f"html.{scheme}").wait_for()
        texts = page.evaluate(CONTRASTS)
        assert len(texts) > 1000
        assert [text for text in texts if text["contrast"] < ENOUGH] == []
        assert (texts[0]["background"] < 0.1) is (scheme == "dark")
        colors = visitor.rows.locator("[data-state]").evaluate_all(COLORS)
        assert len({(color["state"], color["color"]) for color in colors}) == len(InstanceStatus)
        assert len({color["color"] for color in colors}) == len(InstanceStatus)
        # Nothing is hidden at the side.
        assert page.locator(SCROLLED).evaluate("element => element.scrollWidth <= element.clientWidth")
        assert visitor.table.evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")
        picture = page.screenshot(path=tmp_path / f"{scheme}-{width}.png")
        assert len(picture) > 30_000  # an empty page of this size takes less than a tenth


def test_the_header_stays_in_sight(visit: Visit) -> None:
    visitor = visit()
    visitor.rows.first.wait_for()
    visitor.page.locator(SCROLLED).evaluate("element => { element.scrollTop = 1500 }")
    box = visitor.table.get_by_role("columnheader").first.bounding_box()
    assert box is not None
    assert box["y"] == pytest.approx(0, abs=1)


def test_a_card_says_what_its_values_are(visit: Visit) -> None:
    visitor = visit("?status=Running")
    cell = visitor.rows.first.locator('[data-label="Pod"]')
    assert cell.evaluate(LABEL) == "none"
    visitor.page.set_viewport_size({"width": 400, "height": 800})
    assert cell.evaluate(LABEL) == "block"
