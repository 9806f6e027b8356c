"""``make e2e-openstack``: jobs done on servers of a real OpenStack that boot, and nothing left of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from demo.settings import CHECKOUT
from tests.end_to_end.on_openstack import JOBS, VMS
from tests.servers import missing
from tests.servers.openstack_light import LightOpenStack

pytestmark = [pytest.mark.openstack, pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(1200)]

PATIENCE_S = 1000
"""It takes three minutes on an idle machine of two processors."""


def test_jobs_are_done_on_servers_that_are_gone_afterwards(tmp_path: Path) -> None:
    if reason := LightOpenStack.unavailable():
        missing(reason)
    command = [sys.executable, "-m", "tests.end_to_end.on_openstack", "--home", str(tmp_path / "home")]
    done = subprocess.run(
        [*command, "--deadline", str(PATIENCE_S)], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    verdict = json.loads(done.stdout.splitlines()[-1])
    assert verdict.pop("seconds") > 0
    assert 0 < verdict["vms_started"] <= VMS
    assert verdict.pop("vms_started") == verdict.pop("vms_halted")
    assert verdict == {"ok": True, "jobs_done": JOBS, "jobs_failed": 0, "leftovers": 0, "failed_runs": 0}
