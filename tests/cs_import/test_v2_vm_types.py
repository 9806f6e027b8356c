"""VM types of version 2."""

import pytest

from tests.cs_import.made import Tree, of_tree, v2, v2_endpoint
from vmdirac.cs_import.ledger import Verdict

AT = "/Resources/Sites/Grid/S.one.ch/Cloud/ce"
BOOTS: Tree = {"ImageID": "linux", "FlavorName": "small"}


@pytest.mark.parametrize(
    ("options", "boots"),
    [
        ({"ImageID": "i", "FlavorID": "f"}, ("i", "f")),
        ({"ImageName": "i", "FlavorName": "f"}, ("i", "f")),
        ({"Image": "i", "FlavorName": "f"}, ("i", "f")),
        ({"ImageID": "i", "ImageName": "n", "FlavorID": "f", "FlavorName": "g"}, ("i", "f")),
    ],
)
def test_what_boots(options: Tree, boots: tuple[str, str]) -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": options})}}))
    entry = made.outcome.images["t"].endpoints["ce"]
    assert (entry["boot_image"], entry["flavor"]) == boots
    assert made.problems() == []


def test_what_boots_may_be_said_by_the_endpoint() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": {"Tag": "x"}}, ImageID="i", FlavorName="f")}}))
    assert made.outcome.images["t"].endpoints["ce"] == {"boot_image": "i", "flavor": "f"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"FlavorName": "f"}, "it says no image"),
        ({"ImageID": "i"}, "it says no flavor"),
        ({**BOOTS, "MaxInstances": "many"}, "MaxInstances is wrong"),
    ],
)
def test_one_that_is_wrong_is_left_out_alone(options: Tree, why: str) -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": options, "good": BOOTS})}}))
    assert made.outcome.pods.keys() == {"good"}
    assert any(f"{AT}/VMTypes/t: VM type 't' is left out: {why}" in problem for problem in made.problems())


def test_equal_offers_are_one_pod() -> None:
    tags = {"x": "a", "y": "a", "z": "b"}
    made = of_tree(v2({"S.one.ch": {name: v2_endpoint({"t": {**BOOTS, "Tag": tag}}) for name, tag in tags.items()}}))
    pods = {name: pod.fields["endpoints"] for name, pod in made.outcome.pods.items()}
    assert pods == {"t.x": {"x": 1, "y": 1}, "t.z": {"z": 1}}
    assert made.outcome.pods["t.x"].fields["max_instances"] == 10
    assert made.outcome.images.keys() == {"t"}
    assert "VM type 't' on x, y is the pod 't.x'" in made.notes()


def test_the_older_name_of_the_section() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({}, Images={"t": BOOTS}, VMTypes="")}}))
    assert made.outcome.pods.keys() == {"t"}
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": BOOTS}, Images={"old": BOOTS})}}))
    assert made.outcome.pods.keys() == {"t"}
    assert made.verdict(f"{AT}/Images/old/ImageID") is Verdict.NO_EFFECT


def test_an_endpoint_without_vm_types() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({})}}))
    assert made.outcome.endpoints.keys() == {"ce"}
    assert made.problems() == [f"{AT}: there are no VM types in it, so no pod runs on it: add VMTypes and import again"]


@pytest.mark.parametrize(
    ("value", "verdict"), [("here", Verdict.TAKEN), ("elsewhere", Verdict.LEFT_OUT)], ids=["same", "other"]
)
def test_what_is_the_endpoints_cannot_differ_by_vm_type(value: str, verdict: Verdict) -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": {**BOOTS, "Network": value}}, Network="here")}}))
    assert made.verdict(f"{AT}/VMTypes/t/Network") is verdict
    assert made.outcome.endpoints["ce"].extra["network"] == "here"
    assert ("network belongs to the endpoint here" in "".join(made.problems())) == (verdict is Verdict.LEFT_OUT)


def test_tags_of_the_endpoint_count_for_what_the_vm_type_requires() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": {**BOOTS, "RequiredTag": "GPU"}}, Tag="GPU, SSD")}}))
    assert made.problems() == []
    assert made.outcome.pods["t"].fields["requirements"]["tags"] == ["GPU"]
    assert made.outcome.endpoints["ce"].extra["tags"] == ["GPU", "SSD"]


def test_a_required_tag_that_nothing_offers() -> None:
    """Is taken over as it is: whether an endpoint offers it is seen, and told, when all is read together."""
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": {**BOOTS, "RequiredTag": "GPU"}})}}))
    assert made.outcome.pods["t"].fields["requirements"]["required_tags"] == ["GPU"]


def test_a_pod_that_is_left_out_takes_its_part_of_the_image_with_it() -> None:
    wrong = {"t": {**BOOTS, "Tag": "x" * 300}}
    made = of_tree(v2({"S.one.ch": {"x": v2_endpoint({"t": BOOTS}), "y": v2_endpoint(dict(wrong))}}))
    assert made.outcome.pods.keys() == {"t.x"}
    assert made.outcome.images["t"].endpoints.keys() == {"x"}


def test_a_template_has_its_flavor_in_it() -> None:
    one = v2_endpoint({"t": {"TemplateID": "7"}}, CEType="OpenNebula", EndpointUrl="https://one.example/RPC2")
    made = of_tree(v2({"S.one.ch": {"ce": one}}))
    assert made.outcome.images["t"].endpoints["ce"] == {"boot_image": "7", "flavor": "7"}
