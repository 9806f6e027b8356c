"""The page can be read: in light and in dark, on a wide and on a narrow screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.manager.browser.visitor import SCROLLED

if TYPE_CHECKING:
    from tests.manager.browser.conftest import Visit

pytestmark = [pytest.mark.browser, pytest.mark.airflow, pytest.mark.slow]

CONTRASTS = (Path(__file__).parent / "contrasts.js").read_text()
ENOUGH = 4.5  # WCAG 2.2, level AA, for text of this size


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(visit: Visit, scheme: str, width: int, tmp_path: Path) -> None:
    visitor = visit("?limit=200", color_scheme=scheme)
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 800})
    visitor.rows.first.wait_for()
    found = page.evaluate(CONTRASTS)
    assert len(found) > 1000
    assert [item for item in found if item["contrast"] < ENOUGH] == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (found[0]["background"] < 0.2) is (scheme == "dark"), background
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
    visitor.page.set_viewport_size({"width": 400, "height": 800})
    cell = (
        visitor.rows.first.get_by_role("cell")
        .filter(has_text="lhcb")
        .or_(visitor.rows.first.get_by_role("cell").filter(has_text="belle2"))
    )
    label = cell.evaluate(
        "cell => getComputedStyle(cell, '::before').content + getComputedStyle(cell, '::before').display"
    )
    assert label == "attr(data-label)block" or label == '"Pod"block'
