"""Endpoints of version 1."""

import pytest

from tests.cs_import.made import SECRET, Tree, in_v1, of_tree, v1, v1_endpoint
from vmdirac.cs_import.ledger import Verdict

AT = "/Resources/VirtualMachines/CloudEndpoints"


@pytest.mark.parametrize(
    ("driver", "conn_type"),
    [
        ("nova-1.1", "vmdirac_openstack"),
        ("amazon", "vmdirac_ec2"),
        ("occi-0.8", "vmdirac_occi"),
        ("occi-0.9", "vmdirac_occi"),
        ("rocci-1.1", "vmdirac_occi"),
        ("CloudStack", "vmdirac_cloudstack"),
        ("StratusLab", "vmdirac_stratuslab"),
    ],
)
def test_the_driver_says_the_type(driver: str, conn_type: str) -> None:
    made = of_tree(v1(cloudDriver=driver))
    assert made.outcome.endpoints["e"].conn_type == conn_type
    assert made.verdict(f"{AT}/e/cloudDriver") is Verdict.TAKEN


@pytest.mark.parametrize("driver", ["", "vmware"])
def test_without_a_known_driver_it_is_left_out(driver: str) -> None:
    made = of_tree(v1(cloudDriver=driver))
    assert made.outcome.endpoints == {}
    assert made.problems()[0].startswith(f"{AT}/e: endpoint 'e' is left out: its cloudDriver must be one of nova-1.1,")
    assert {entry.verdict for entry in made.entries() if entry.option.section == f"{AT}/e"} == {Verdict.LEFT_OUT}
    # Nobody knows what these options are, so none of their values is shown.
    assert not any(entry.shown for entry in made.entries() if entry.option.section == f"{AT}/e")


@pytest.mark.parametrize("limit", ["", "many", "5.5"])
def test_without_its_limit_it_is_left_out(limit: str) -> None:
    made = of_tree(v1(maxEndpointInstances=limit))
    assert made.outcome.endpoints == {}
    assert any("maxEndpointInstances is missing or wrong" in problem for problem in made.problems())
    assert made.verdict(f"{AT}/e/siteName") is Verdict.LEFT_OUT


@pytest.mark.parametrize(
    ("said", "meant", "verdict"),
    [
        ("elastic", "elastic", Verdict.TAKEN),
        ("Never", "never", Verdict.TAKEN),
        ("later", "never", Verdict.CHANGED),
    ],
)
def test_any_stop_policy_but_elastic_was_never(said: str, meant: str, verdict: Verdict) -> None:
    made = of_tree(v1(vmStopPolicy=said))
    assert made.outcome.endpoints["e"].extra["vm_stop_policy"] == meant
    assert made.verdict(f"{AT}/e/vmStopPolicy") is verdict


def test_a_policy_that_is_none_is_left_out_alone() -> None:
    made = of_tree(v1(vmPolicy="rigid"))
    assert made.problems() == [f"{AT}/e/vmPolicy: one of elastic, static is needed, not 'rigid'"]
    assert "vm_policy" not in made.outcome.endpoints["e"].extra
    notes = of_tree(v1(vmPolicy="", vmStopPolicy="")).notes()
    assert "vmPolicy is missing" in notes
    assert "vmStopPolicy is missing" in notes


def test_a_grid_proxy_is_no_way_to_log_in() -> None:
    made = of_tree(v1(auth="proxy", proxyPath="/tmp/x509up", user="", password=""))
    endpoint = made.outcome.endpoints["e"].connection()
    assert (endpoint["login"], endpoint["password"]) == ("", "")
    assert len(made.problems()) == 1
    assert made.problems()[0].startswith(f"{AT}/e/auth: grid proxies are not used here")
    assert made.verdict(f"{AT}/e/proxyPath") is Verdict.NO_EFFECT


def test_names_that_are_none_here_are_changed_and_told() -> None:
    endpoints: Tree = {"My Cloud @CERN": v1_endpoint(), "My Cloud+CERN": v1_endpoint(), "My-Cloud-CERN": v1_endpoint()}
    made = of_tree(in_v1(CloudEndpoints=endpoints))
    assert list(made.outcome.endpoints) == ["My-Cloud-CERN", "My-Cloud-CERN-2", "My-Cloud-CERN-3"]
    assert f"{AT}/My Cloud @CERN: the endpoint is now called 'My-Cloud-CERN'" in made.notes()


@pytest.mark.parametrize("path", ["/v2.0", "/v2.0/tokens"])
def test_an_old_keystone_is_told(path: str) -> None:
    made = of_tree(v1(ex_force_auth_url=f"https://u:{SECRET}@cloud.example:5000{path}"))
    assert "Keystone's version 2, which OpenStack has no more" in made.notes()
    assert SECRET not in made.notes()
