"""Images of version 1."""

import pytest

from tests.cs_import.made import in_v1, of_tree, v1, v1_endpoint, v1_image
from vmdirac.cs_import.ledger import Verdict

AT = "/Resources/VirtualMachines/Images/i"


@pytest.mark.parametrize(
    ("method", "becomes", "told"),
    [
        ("adhoc", "adhoc", "another manager"),
        ("amiconfig", "amiconfig", "a template of your own"),
        ("occi_opennebula", "hepix", "prolog.sh and epilog.sh"),
        ("something_else", "cloudinit", "it was 'something_else'"),
    ],
)
def test_methods_stay_what_they_are_or_the_nearest_and_what_changes_is_told(
    method: str, becomes: str, told: str
) -> None:
    made = of_tree(v1(image=v1_image("e", contextMethod=method)))
    assert made.outcome.images["i"].fields["context_method"] == becomes
    assert made.verdict(f"{AT}/contextMethod") is Verdict.CHANGED
    assert told in made.notes()
    assert made.problems() == []


def test_cloudinit_is_taken_over_as_it_is() -> None:
    made = of_tree(v1())
    assert made.outcome.images["i"].fields["context_method"] == "cloudinit"
    assert made.verdict(f"{AT}/contextMethod") is Verdict.TAKEN


def test_ssh_stays_ssh_and_its_key_is_asked_for() -> None:
    made = of_tree(v1(image=v1_image("e", contextMethod="ssh")))
    assert made.outcome.images["i"].fields["context_method"] == "ssh"
    assert made.verdict(f"{AT}/contextMethod") is Verdict.TAKEN
    assert "make it, and let the image take its key" in made.notes()
    assert made.problems() == []


def test_a_flavor_alone_does_not_boot() -> None:
    image = v1_image("e", Flavors={"e": "small", "other": "small"})
    endpoints = {"e": v1_endpoint(), "other": v1_endpoint()}
    made = of_tree(in_v1(Images={"i": image}, CloudEndpoints=dict(endpoints)))
    assert made.outcome.images["i"].endpoints == {"e": {"boot_image": "linux", "flavor": "small"}}
    assert made.problems() == [f"{AT}/Flavors/other: there is no {AT}/BootImages/other: both are needed"]
    assert made.verdict(f"{AT}/Flavors/other") is Verdict.LEFT_OUT


@pytest.mark.parametrize("boots", [{}, {"nowhere": "linux"}, {"e": ""}])
def test_what_boots_nowhere_is_left_out_and_its_pods_with_it(boots: dict[str, str]) -> None:
    made = of_tree(v1(image=v1_image("e", BootImages=dict(boots))))
    assert made.outcome.images == {}
    assert made.outcome.pods == {}
    assert any("image 'i' is left out: there is no endpoint for which" in problem for problem in made.problems())
    assert any("pod 'p' is left out: its image is not imported" in problem for problem in made.problems())
    assert made.verdict(f"{AT}/contextMethod") is Verdict.LEFT_OUT


@pytest.mark.parametrize("price", ["cheap", "0", "-1"])
def test_a_price_that_is_none_does_not_become_no_limit(price: str) -> None:
    made = of_tree(v1(image=v1_image("e", maxAllowedPrice=price)))
    assert made.outcome.images == {}
    assert made.outcome.pods == {}
    assert made.verdict(f"{AT}/maxAllowedPrice") is Verdict.LEFT_OUT


def test_key_pairs_and_security_groups_go_to_the_endpoints() -> None:
    image = v1_image("e", keyName="nouse", cloudinit={"ex_keyname": "mine", "ex_security_groups": "a, b"})
    made = of_tree(v1(image=image))
    extra = made.outcome.endpoints["e"].extra
    assert (extra["key_name"], extra["security_groups"]) == ("mine", ["a", "b"])
    assert made.verdict(f"{AT}/keyName") is Verdict.NO_EFFECT
    assert made.verdict(f"{AT}/cloudinit/ex_keyname") is Verdict.CHANGED


def test_two_images_that_want_different_key_pairs() -> None:
    images = {"i": v1_image("e", keyName="one"), "j": v1_image("e", keyName="two")}
    made = of_tree(in_v1(Images=dict(images), CloudEndpoints={"e": v1_endpoint()}))
    assert made.outcome.endpoints["e"].extra["key_name"] == "one"
    assert len(made.problems()) == 1
    assert "another image says something else for e" in made.problems()[0]
