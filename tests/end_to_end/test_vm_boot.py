"""``make vm-boot``: a real VM boots with our user data, does a job and powers itself off."""

import json
import subprocess
import sys

import pytest

from demo.settings import CHECKOUT
from tests.servers import missing, qemu_image

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_S = 800
"""It took three and a half minutes on two processors that were busy with other tests."""


def test_a_real_vm_registers_does_its_job_and_halts() -> None:
    """What its job saw of units, mounts, secrets and more is checked by the command itself."""
    if reason := qemu_image.obstacle():
        missing(reason)
    command = [sys.executable, "-m", "tests.end_to_end.vm_boot", "--deadline", str(PATIENCE_S)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    verdict = json.loads(done.stdout.splitlines()[-1])
    assert verdict.pop("seconds") > 0
    assert verdict == {"registered": True, "jobs_done": 1, "halted": True}
