"""Every kind of user data, run by real cloud-init: what came of it on the VMs."""

import json
import subprocess
import sys
from typing import Any

import pytest

from demo.settings import CHECKOUT
from tests.end_to_end.on_light_vms import HOSTILE, PROXY
from tests.servers import light_vm_root, missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 500
VARIATIONS = ("plain", "cloud-config", "compressed", "stub", "scripts", "hepix", "amiconfig")
EC2_TAKES = 16 * 1024


@pytest.fixture(scope="module")
def found() -> Any:
    """What was found, by variation."""
    if reason := light_vm_root.obstacle():
        missing(reason)
    command = [sys.executable, "-m", "tests.end_to_end.on_light_vms", "--deadline", str(PATIENCE_S)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == {*VARIATIONS, "users"}, done.stdout
    return found


@pytest.mark.parametrize("variation", VARIATIONS)
def test_the_vm_registers_and_only_its_own_secret_is_in_what_it_boots_with_once(found: Any, variation: str) -> None:
    vm = found[variation]
    assert (vm["registered"], vm["secrets"], vm["secret_is_shown"]) == (True, 1, False)
    assert vm["seen"]["modes"]["agent.json"] == "0o600"
    assert "broken" not in vm["seen"]["run"]


def test_a_job_may_be_a_user_of_its_own_that_cannot_read_the_agents_secret(found: Any) -> None:
    seen = found["users"]["seen"]
    assert seen["user"] != 0
    assert (seen["modes"], seen["agent_config"]) == ({}, "")
    assert '"secret"' in found["plain"]["seen"]["agent_config"], "that of root can"


def test_cloud_config_is_what_was_configured_merged_and_good_by_cloud_inits_own_schema(found: Any) -> None:
    seen = found["cloud-config"]["seen"]
    assert seen["marks"] == {"template": "own\n", "cloud-config": HOSTILE}
    assert seen["schema"] == "Valid cloud-config: system userdata\n"
    assert seen["timezone"] == "Europe/Zurich\n"


def test_what_is_compressed_comes_out_the_same(found: Any) -> None:
    seen = found["compressed"]["seen"]
    assert seen["marks"] == {"template": "own\n", "cloud-config": HOSTILE}
    assert seen["schema"] == "Valid cloud-config: system userdata\n"
    assert found["compressed"]["size"] < EC2_TAKES


def test_a_stub_fetches_the_rest_from_the_manager(found: Any) -> None:
    assert found["stub"]["seen"]["marks"] == {"template": "own\n"}
    assert found["stub"]["size"] < EC2_TAKES


def test_scripts_and_the_pilot_run(found: Any) -> None:
    seen = found["scripts"]["seen"]
    assert seen["marks"].pop("before").strip().isdigit()
    assert seen["marks"] == {"after": f"{PROXY}\n", "pilot": HOSTILE}


def test_jobs_know_the_proxy_of_cvmfs(found: Any) -> None:
    for variation in ("scripts", "amiconfig"):
        assert found[variation]["seen"]["proxy"] == PROXY
        assert found[variation]["seen"]["cvmfs"] == f"CVMFS_HTTP_PROXY='{PROXY}'\n"
    assert found["plain"]["seen"]["proxy"] == ""
