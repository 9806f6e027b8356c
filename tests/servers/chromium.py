"""Where the browser of the tests is, and how it is started."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers import programs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ARGUMENTS = [
    "--no-sandbox",  # refuses root otherwise; the tests show it only our own pages
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # It has nobody to talk to but the server under test.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_executable() -> Path | None:
    """The installed Chromium or Chrome, or None."""
    return programs.chromium()["chromium"]


def unavailable() -> str | None:
    """Why no browser can be started here, or None."""
    if chromium_executable() is None:
        return "Chromium is not installed: python -m tests.servers.install"
    if importlib.util.find_spec("playwright") is None:
        return "the Python package playwright is not installed"
    return None


@contextmanager
def launched(home: Path) -> Iterator["Browser"]:
    """A headless browser; `home` takes what it would otherwise write into the user's home directory."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_executable(),
            headless=True,
            args=ARGUMENTS,
            env={
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(home),
                "XDG_CACHE_HOME": str(home),
                "PATH": "/usr/bin:/bin",
            },
        )
        try:
            yield browser
        finally:
            browser.close()
