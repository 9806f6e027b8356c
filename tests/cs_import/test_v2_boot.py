"""How VMs of version 2 boot."""

from __future__ import annotations

import pytest

from tests.cs_import.made import Tree, of_tree, v2, v2_endpoint
from vmdirac.cs_import.ledger import Verdict

AT = "/Resources/Sites/Grid/S.one.ch/Cloud/ce"
BOOTS: Tree = {"ImageID": "linux", "FlavorName": "small"}


@pytest.mark.parametrize(
    ("of_type", "of_endpoint", "of_vo", "method"),
    [
        ({}, {}, {}, "cloudinit"),
        ({"BootType": "pilot"}, {}, {}, "cloudinit"),
        ({"HEPIX": "yes"}, {}, {}, "hepix"),
        ({}, {"HEPIX": "yes"}, {}, "hepix"),
        ({}, {}, {"HEPIX": "yes", "BootType": "pilot"}, "hepix"),
        ({"BootType": "cloudinit"}, {"HEPIX": "yes"}, {}, "cloudinit"),
        ({"BootType": "pilot"}, {"BootType": "cloudinit", "HEPIX": "yes"}, {}, "hepix"),
    ],
)
def test_the_nearest_that_says_it_counts(of_type: Tree, of_endpoint: Tree, of_vo: Tree, method: str) -> None:
    tree = v2(
        {"S.one.ch": {"ce": v2_endpoint({"t": {**BOOTS, **of_type}}, **of_endpoint)}}, {}, {"vo": {"Cloud": of_vo}}
    )
    made = of_tree(tree)
    assert {name: image.fields["context_method"] for name, image in made.outcome.images.items()} == {"t": method}
    assert made.problems() == []


def test_what_became_of_the_options_is_told() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": BOOTS}, BootType="pilot", HEPIX="yes")}}))
    assert {made.verdict(f"{AT}/{name}") for name in ("BootType", "HEPIX")} == {Verdict.TAKEN}
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": BOOTS}, BootType="user", HEPIX="yes")}}))
    assert made.verdict(f"{AT}/BootType") is Verdict.CHANGED
    assert made.verdict(f"{AT}/HEPIX") is Verdict.NO_EFFECT
    assert "logins for people" in made.notes()


def test_an_unknown_type_is_a_problem_and_boots_by_cloudinit() -> None:
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": {**BOOTS, "BootType": "magic"}})}}))
    assert made.outcome.images["t"].fields["context_method"] == "cloudinit"
    assert any("BootType: it must be pilot, cloudinit or user" in problem for problem in made.problems())


def test_what_boots_in_two_ways_is_two_images_and_their_pods() -> None:
    endpoints: Tree = {"a": v2_endpoint({"t": BOOTS}, HEPIX="yes"), "b": v2_endpoint({"t": BOOTS})}
    made = of_tree(v2({"S.one.ch": endpoints}))
    images = {name: (image.fields["context_method"], [*image.endpoints]) for name, image in made.outcome.images.items()}
    assert images == {"t.cloudinit": ("cloudinit", ["b"]), "t.hepix": ("hepix", ["a"])}
    pods = {pod.fields["image"]: pod.fields["endpoints"] for pod in made.outcome.pods.values()}
    assert pods == {"t.cloudinit": {"b": 1}, "t.hepix": {"a": 1}}
    assert "its image is now called 't.hepix'" in made.notes()


def test_vos_that_differ_decide_nothing() -> None:
    operations: Tree = {"one": {"Cloud": {"HEPIX": "yes"}}, "other": {"Cloud": {"BootType": "cloudinit"}}}
    made = of_tree(v2({"S.one.ch": {"ce": v2_endpoint({"t": BOOTS})}}, {}, operations))
    assert made.outcome.images["t"].fields["context_method"] == "cloudinit"
    assert "how VMs boot is not the same for all VOs" in made.notes()
