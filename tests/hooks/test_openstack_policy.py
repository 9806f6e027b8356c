"""The policy that docs/clouds.md offers, judged by Nova: it allows what we ask for, in the project alone."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.servers import missing, openstack_packages

pytestmark = [pytest.mark.openstack, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "clouds.md"

ALLOWED = (
    "servers:create servers:create:attach_network servers:create:attach_volume servers:delete servers:detail"
    " servers:index servers:show os-console-output os-server-groups:index os-keypairs:show limits"
)
REFUSED = "servers:stop servers:rebuild servers:update os-server-groups:create os-lock-server:lock"

JUDGE = """
import json, sys
import nova.policies
from oslo_config import cfg
from oslo_policy import policy

config = cfg.ConfigOpts()
config([])
enforcer = policy.Enforcer(config, policy_file=sys.argv[1])
enforcer.suppress_default_change_warnings = enforcer.suppress_deprecation_warnings = True
enforcer.register_defaults(nova.policies.list_rules())
who = {"roles": ["vmdirac"], "project_id": "ours", "user_id": "us"}
print(json.dumps({
    project: [
        rule
        for rule in sys.argv[2:]
        if enforcer.registered_rules["os_compute_api:" + rule]
        and enforcer.enforce("os_compute_api:" + rule, {"project_id": project, "user_id": "us"}, who)
    ]
    for project in ("ours", "theirs")
}))
"""
"""Which of the rules hold in our project and in another one. A rule that Nova does not know is an error."""


def test_the_documented_policy_allows_what_we_ask_for(tmp_path: Path) -> None:
    if not openstack_packages.is_installed():
        missing("OpenStack's Python packages are not installed: python -m tests.servers.install")
    policy = tmp_path / "policy.yaml"
    policy.write_text(PAGE.read_text().split("```yaml\n")[1].split("```")[0])
    python = openstack_packages.environment_directory() / "bin/python"
    rules = [*ALLOWED.split(), *REFUSED.split()]
    command = [str(python), "-W", "ignore", "-c", JUDGE, str(policy), *rules]
    allowed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert allowed["ours"] == ALLOWED.split()
    assert set(allowed["theirs"]) <= {"limits", "os-keypairs:show"}
