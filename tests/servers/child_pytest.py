"""Runs a pytest of its own, for tests of what this directory does with a test run."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.servers.airflow_environment import CHECKOUT

# To be put at the head of a test file: `tell` hands facts to `facts_of_killed`, and then waits to be killed.
TELL = """
import json, os, signal
from pathlib import Path

def tell(facts):
    file = Path(__file__).parent / "facts"
    file.with_suffix(".new").write_text(json.dumps({"home": os.environ["AIRFLOW_HOME"], "facts": facts}))
    file.with_suffix(".new").rename(file)  # there all at once
    signal.pause()
"""


def run(directory: Path, *options: str, files: dict[str, str], **environment: str) -> tuple[int, str]:
    """Run `files` (name → text), written to `directory`, with the fixtures of tests/conftest.py.

    Returns:
        pytest's exit code and output.
    """
    with _start(directory, *options, files=files, **environment) as process:
        output, _ = process.communicate(timeout=120)
    return process.returncode, output


def facts_of_killed(directory: Path, *, files: dict[str, str]) -> Any:
    """Run `files` until one of them calls `tell`, then kill -9 the run; returns what was told.

    Raises:
        AssertionError: it ended without a word, or told nothing in two minutes; the message has its output.
    """
    told = directory / "facts"
    deadline = time.monotonic() + 120
    with _start(directory, files=files) as process:
        while not told.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.kill()
        output, _ = process.communicate()
    assert told.exists(), output
    facts = json.loads(told.read_text())
    shutil.rmtree(facts["home"])  # what nobody was left to remove
    return facts["facts"]


def _start(directory: Path, *options: str, files: dict[str, str], **environment: str) -> subprocess.Popen[str]:
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
