"""Whole configurations: what is made of them, that every option is reported once, and that no secret gets out."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diraccfg import CFG

from tests.cs_import.made import SAMPLES, SECRET, Made, of_sample
from vmdirac.config.endpoints import EndpointConfig
from vmdirac.config.images import ImageConfig
from vmdirac.config.pods import PodConfig
from vmdirac.cs_import.ledger import Verdict
from vmdirac.cs_import.report import render_report
from vmdirac.cs_import.write import write_files

IS_VMDIRAC = re.compile(
    r"/Resources/VirtualMachines/"
    r"|/Resources/Sites/[^/]+/[^/]+/Cloud/"
    r"|/Resources/Sites/EGI/EGI.CESNET.cz/VO$"
    r"|/Systems/WorkloadManagement/[^/]+/(Agents/(VirtualMachine|CloudDirector)|Services/Virtual|Databases/Virtual)"
    r"|/Operations/[^/]+/Cloud/"
)
NAMES = ("v1.cfg", "v2.cfg", "both.cfg")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sample; one of them is the others in one file."""
    if request.param == "both.cfg":
        first, second = (CFG().loadFromFile(str(SAMPLES / name)) for name in NAMES[:2])
        (tmp_path / "both.cfg").write_text(str(first.mergeWith(second)))
        monkeypatch.setattr("tests.cs_import.made.SAMPLES", tmp_path)
    return str(request.param)


@pytest.fixture
def made(name: str) -> Made:
    return of_sample(name)


def leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}/{name}")
        else:
            yield f"{path}/{name}", value


def expected(name: str) -> dict[str, str]:
    """The options of a sample that are VMDIRAC's, by their paths."""
    names = NAMES[:2] if name == "both.cfg" else (name,)
    trees = [CFG().loadFromFile(str(SAMPLES / name)).getAsDict() for name in names]
    return {path: value for tree in trees for path, value in leaves(tree) if IS_VMDIRAC.match(path)}


def reported(report: str) -> Counter[str]:
    """The options in the report's tables."""
    found: Counter[str] = Counter()
    section = ""
    for line in report.splitlines():
        if line.startswith("### "):
            section = line.removeprefix("### ")
        elif row := re.match(r"\| `([^`]+)` \|", line):
            found[f"{section}/{row[1]}"] += 1
    return found


def test_every_option_is_in_the_report_exactly_once(made: Made, name: str) -> None:
    assert reported(render_report(made.outcome, made.scope, name)) == Counter(expected(name).keys())


def test_no_secret_is_anywhere_but_with_the_connections(made: Made, name: str, tmp_path: Path) -> None:
    secrets = {value for value in expected(name).values() if SECRET in value}
    assert len(secrets) > 5
    report = render_report(made.outcome, made.scope, name)
    write_files(tmp_path / "out", made.outcome, report, force=False)
    for file in (tmp_path / "out").iterdir():
        assert (SECRET in file.read_text()) == (file.name == "connections.json"), file.name
    assert SECRET not in repr(made.outcome)
    assert not any(SECRET in text for text in (*made.problems(), made.notes()))


def test_the_samples_are_good(made: Made) -> None:
    assert made.problems() == []
    for pod in made.outcome.pods.values():
        PodConfig.model_validate(json.loads(json.dumps(pod.fields)))
        assert set(pod.fields["endpoints"]) <= made.outcome.endpoints.keys()
        image = ImageConfig.model_validate(made.outcome.images[pod.fields["image"]].entry())
        assert set(pod.fields["endpoints"]) <= image.endpoints.keys()
    for endpoint in made.outcome.endpoints.values():
        known = {name: value for name, value in endpoint.extra.items() if name in EndpointConfig.model_fields}
        EndpointConfig.model_validate(known)


def test_what_nobody_knows_is_named(made: Made) -> None:
    unknown = {entry.option.name for entry in made.entries() if entry.verdict is Verdict.UNKNOWN}
    assert unknown <= {"contactPhone", "SecurityToken", "Colour"}
    assert unknown


def test_version_1() -> None:
    made = of_sample("v1.cfg")
    pod = made.outcome.pods["mc-simulation"].fields
    assert pod == {
        "image": "CernVM",
        "endpoints": {"CERN": 1, "EC2-Ireland": 1},
        "max_instances": 80,
        "cpu_per_instance": 1000,
        "priority": 10,
        "campaign_start": "2015-06-01",
        "campaign_end": "2026-12-31",
        "max_allowed_price": 0.12,
        "heartbeat_period": 300,
        "min_working_load": 0.02,
        "load_average_timespan": 120,
        "halt_period": 3600,
        "halt_before_margin": 300,
        "requirements": {
            "cpu_time": 432000,
            "setup": "LHCb-Production",
            "owner_groups": ["lhcb_mc", "lhcb_user"],
            "submit_pools": ["cernVMPool"],
            "job_types": ["MCSimulation", "MCReconstruction"],
            "platforms": ["x86_64-slc6"],
            "tags": ["MultiProcessor"],
            "banned_sites": ["LCG.Slow.uk"],
            "processors": 4,
            "max_ram": 8192,
            "whole_node": False,
        },
    }
    assert made.outcome.endpoints["CERN"].connection() == {
        "conn_type": "vmdirac_openstack",
        "description": "imported from /Resources/VirtualMachines/CloudEndpoints/CERN",
        "host": "https://openstack.example.ch:5000/v2.0/tokens",
        "login": "lhcbvm",
        "password": "s3cr3t-nova==",
        "port": 0,
        "schema": "",
        "extra": {
            "site": "DIRAC.CERN-Cloud.ch",
            "max_instances": 60,
            "vm_policy": "static",
            "vm_stop_policy": "never",
            "cvmfs_proxy": "http://squid:s3cr3t-squid@ca-proxy.example.ch:3128;DIRECT",
            "auth_type": "password",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
            "project_name": "LHCb",
            "region_name": "cern",
            "cacert": "/etc/grid-security/certificates/CERN.pem",
            "key_name": "lhcb-key",
            "security_groups": ["default", "ssh-in"],
        },
    }
    assert {endpoint.conn_type for endpoint in made.outcome.endpoints.values()} == {
        "vmdirac_openstack",
        "vmdirac_ec2",
        "vmdirac_occi",
        "vmdirac_cloudstack",
    }


def test_version_2() -> None:
    made = of_sample("v2.cfg")
    pods = {name: pod.fields for name, pod in made.outcome.pods.items()}
    assert pods.keys() == {"small.hepix", "small.cloudinit", "large.hepix", "large.cloudinit", "one"}
    assert pods["small.hepix"]["endpoints"] == {"EGI.CESNET.cz.cloud": 1}
    assert pods["small.cloudinit"]["endpoints"] == {"EGI.INFN.it.cloud": 1, "aws": 1}
    assert pods["small.hepix"]["max_instances"] + pods["small.cloudinit"]["max_instances"] == 35
    assert {name: image.fields["context_method"] for name, image in made.outcome.images.items()} == {
        "small.hepix": "hepix",
        "small.cloudinit": "cloudinit",
        "large.hepix": "hepix",
        "large.cloudinit": "cloudinit",
        "one": "cloudinit",
    }
    assert pods["large.hepix"] == {
        "image": "large.hepix",
        "endpoints": {"EGI.CESNET.cz.cloud": 1},
        "max_instances": 4,
        "heartbeat_period": 300,
        "halt_period": 900,
        "requirements": {
            "cpu_time": 99_999_999,
            "tags": ["MultiProcessor"],
            "processors": 16,
            "max_ram": 65536,
            "whole_node": True,
            "owner_groups": ["enmr_pilot", "enmr_user"],
            "submit_pools": ["enmrPool"],
        },
    }
    infn = made.outcome.endpoints["EGI.INFN.it.cloud"]
    assert infn.extra == {
        "site": "EGI.INFN.it",
        "max_instances": 10,
        "max_launch_per_tick": 3,
        "vm_stop_policy": "never",
        "user_domain_name": "default",
        "project_domain_name": "default",
        "project_name": "vo",
        "region_name": "regionOne",
        "key_name": "dirac",
        "network": "first",
        "availability_zone": "nova",
        "config_drive": True,
        "floating_ip_pool": "public",
    }
    assert "no CloudDirector served EGI.INFN.it" in made.notes()
