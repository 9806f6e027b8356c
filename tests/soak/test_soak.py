"""One minute of it: no job is lost or run twice to its end, nothing is left over, and duplicates are turned away."""

import json
import subprocess
import sys

import pytest

from tests.servers import missing
from tests.servers.airflow_environment import CHECKOUT
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.airflow, pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(900)]


def test_all_is_done_once_and_nothing_is_left() -> None:
    if reason := PostgresServer.unavailable():
        missing(reason)
    command = [sys.executable, "-m", "tests.soak", "--minutes", "1", "--agents", "40"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=850, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert (told["lost"], told["run_twice"], told["leftover"]) == (0, 0, 0)
    assert told["duplicates_refused"] > 0
    assert told["duplicates_let_in"] == 0
    assert told["jobs"] > told["agents"] == 40
    assert "0 outages" not in ended.stderr.splitlines()[-1]
