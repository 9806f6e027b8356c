"""Runs a pytest of its own, for tests of what this directory does with a test run."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.servers.airflow_environment import CHECKOUT

# The child's side of it, to be put at the head of a test file. The rename makes it appear all at once.
TELL = """
import json, os, signal
from pathlib import Path

def tell(facts):
    file = Path(__file__).parent / "facts"
    file.with_suffix(".new").write_text(json.dumps(facts))
    file.with_suffix(".new").rename(file)
"""


def start(directory: Path, *options: str, files: dict[str, str], **environment: str) -> subprocess.Popen[str]:
    """Start pytest on `files` (name → text), written to `directory`, with the fixtures of tests/conftest.py."""
    for name, text in {"conftest.py": "from tests.conftest import *\n", **files}.items():
        (directory / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={directory}"]
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.Popen(
        [*command, *options, str(directory)],
        cwd=CHECKOUT,  # where `tests` is imported from
        env={**inherited, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(directory: Path, *options: str, files: dict[str, str], **environment: str) -> tuple[int, str]:
    """The same to its end: exit code and output."""
    with start(directory, *options, files=files, **environment) as process:
        output, _ = process.communicate(timeout=120)
    return process.returncode, output


def facts(process: subprocess.Popen[str], directory: Path) -> Any:
    """Wait for what a test of the child tells with `TELL`.

    Raises:
        AssertionError: it ended without a word, or didn't get that far in two minutes; the message has its output.
    """
    file = directory / "facts"
    deadline = time.monotonic() + 120
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(process.communicate()[0])
        time.sleep(0.05)
    return json.loads(file.read_text())
