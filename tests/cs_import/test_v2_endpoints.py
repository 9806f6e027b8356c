"""Endpoints of version 2."""

from pathlib import Path

import pytest

from tests.cs_import.made import SECRET, Tree, of_tree, v1, v2, v2_endpoint
from vmdirac.cs_import.ledger import Verdict

AT = "/Resources/Sites/Grid/S.one.ch/Cloud/ce"


@pytest.mark.parametrize(
    ("ce_type", "provider", "conn_type"),
    [
        ("OpenStack", "", "vmdirac_openstack"),
        ("Cloud", "", "vmdirac_openstack"),
        ("", "", "vmdirac_openstack"),
        ("", "OPENSTACK", "vmdirac_openstack"),
        ("Cloud", "EC2_EU_WEST", "vmdirac_ec2"),
        ("Cloud", "OPENNEBULA", "vmdirac_opennebula"),
        ("Cloud", "DIGITAL_OCEAN", "vmdirac_digital_ocean"),
        ("EC2", "", "vmdirac_ec2"),
        ("Occi", "", "vmdirac_occi"),
        ("Rocci", "", "vmdirac_occi"),
        ("OpenNebula", "", "vmdirac_opennebula"),
    ],
)
def test_the_type(ce_type: str, provider: str, conn_type: str) -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(CEType=ce_type, Provider=provider)}}))
    assert made.outcome.endpoints["ce"].conn_type == conn_type
    assert made.entry(f"{AT}/User").shown is False


@pytest.mark.parametrize("options", [{"CEType": "VMware"}, {"CEType": "Cloud", "Provider": "http://me:hunter2@x"}])
def test_a_type_that_there_was_not(options: dict[str, str]) -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(**options)}}))
    assert made.outcome.endpoints == {}
    assert made.outcome.pods == {}
    (problem,) = made.problems()
    assert problem.startswith(f"{AT}: endpoint 'ce' is left out: its CEType must be one of Cloud (with a Provider of")
    assert {(entry.verdict, entry.shown) for entry in made.entries()} == {(Verdict.LEFT_OUT, False)}


def test_one_name_at_two_sites() -> None:
    clouds = {"ce": v2_endpoint(), "only": v2_endpoint()}
    made = of_tree(v2({"S.one.ch": dict(clouds), "S.two.ch": {"ce": v2_endpoint()}}))
    assert list(made.outcome.endpoints) == ["S.one.ch.ce", "only", "S.two.ch.ce"]
    assert made.outcome.pods["small"].fields["endpoints"] == {"S.one.ch.ce": 1, "only": 1, "S.two.ch.ce": 1}
    assert "Jobs that ask for a GridCE find it by that name" in made.notes()


def test_one_name_in_both_versions() -> None:
    first, second = v1(), v2({"S.one.ch": {"e": v2_endpoint()}})
    resources = {"Resources": {**first["Resources"], **second["Resources"]}}  # type: ignore[dict-item]
    made = of_tree({**second, **resources})
    assert list(made.outcome.endpoints) == ["e", "S.one.ch.e"]


@pytest.mark.parametrize("limit", ["", "lots"])
def test_a_limit_is_needed(limit: str) -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(MaxInstances=limit)}}))
    assert made.outcome.endpoints == {}
    assert made.outcome.pods == {}
    assert any("MaxInstances is missing or wrong" in problem for problem in made.problems())
    assert {entry.verdict for entry in made.entries()} == {Verdict.LEFT_OUT}


def test_the_limit_may_be_that_of_its_vm_types() -> None:
    boots: Tree = {"ImageID": "i", "FlavorName": "f"}
    types: Tree = {"a": {**boots, "MaxInstances": "2"}, "b": boots, "c": {**boots, "MaxInstances": "7"}}
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(types, MaxInstances="")}}))
    assert made.outcome.endpoints["ce"].extra["max_instances"] == 7
    assert {name: pod.fields["max_instances"] for name, pod in made.outcome.pods.items()} == {"a": 2, "b": 7, "c": 7}


def test_an_application_credential(tmp_path: Path) -> None:
    file = tmp_path / "credential"
    file.write_text(f"the-id {SECRET}")
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(User="", Password="", Appcred=str(file), ProjectID="p")}}))
    extra = made.outcome.endpoints["ce"].extra
    assert extra["application_credential_id"] == "the-id"
    assert extra["application_credential_secret"] == SECRET
    assert extra["auth_type"] == "v3applicationcredential"
    assert not {"project_name", "project_id", "project_domain_name", "user_domain_name"} & extra.keys()
    assert made.verdict(f"{AT}/Tenant") is Verdict.NO_EFFECT
    assert not made.entry(f"{AT}/Appcred").shown


def test_an_application_credential_that_is_not_here() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(Appcred="/nowhere/credential")}}))
    assert len(made.problems()) == 1
    assert made.problems()[0].startswith(f"{AT}/Appcred: the file that it names cannot be read here")
    assert "auth_type" not in made.outcome.endpoints["ce"].extra


def test_an_id_comes_before_a_name() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(Network="name", NetworkID="id")}}))
    assert made.outcome.endpoints["ce"].extra["network"] == "id"
    assert made.entry(f"{AT}/Network").text == "NetworkID beside it is used"


def test_what_the_model_refuses_is_written_and_told() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(MaxRAM="-1")}}))
    assert made.outcome.endpoints["ce"].extra["max_ram"] == -1
    assert any(problem.startswith("connection ce: mend it before or after") for problem in made.problems())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"CEType": "OpenStack"}, "vmdirac_openstack in this version"),
        ({"CEType": "OpenNebula"}, "If the cloud also speaks OpenStack's or EC2's interface"),
        ({"CEType": "Cloud", "Provider": "gone"}, "delete the connection if the cloud is no more"),
    ],
)
def test_clouds_without_a_driver_are_told(options: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmdirac.cs_import.cloud_kind.DRIVERS", {"local": None})
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(**options)}}))
    assert told in made.notes()
    monkeypatch.setattr("vmdirac.cs_import.cloud_kind.DRIVERS", {"openstack": None, "opennebula": None, "gone": None})
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint(**options)}}))
    assert "no driver" not in made.notes()
