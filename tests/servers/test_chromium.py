"""The browser that tests get."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers import child_pytest, chromium, missing
from tests.servers.process import still_alive

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_it_shows_a_page_and_runs_its_script(browser: "Browser") -> None:
    with browser.new_page() as page:
        page.goto("data:text/html,<h1>before</h1><script>document.querySelector('h1').innerText='after'</script>")
        assert page.inner_text("h1") == "after"


TWO_MODULES = {
    "test_1_browser.py": "def test_it(browser): browser.new_page()",
    "test_2_loop.py": """
import asyncio
def test_it():
    async def answer(): return 42
    assert asyncio.run(answer()) == 42
""",
}


def test_after_the_module_event_loops_work_again(tmp_path: Path) -> None:
    if reason := chromium.unavailable():
        missing(reason)
    code, output = child_pytest.run(tmp_path, files=TWO_MODULES)
    assert code == 0, output
    assert "2 passed" in output


VICTIM = (
    child_pytest.TELL
    + """
from tests.servers.guard import descendants

def test_hangs(browser):
    browser.new_page()
    tell(descendants(os.getpid()))
"""
)


def test_kill_9_of_pytest_leaves_no_browser(tmp_path: Path) -> None:
    if reason := chromium.unavailable():
        missing(reason)
    pids = child_pytest.facts_of_killed(tmp_path, files={"test_victim.py": VICTIM})
    assert len(pids) > 2
    assert still_alive(pids, seconds=60) == []
