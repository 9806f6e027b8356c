"""Images as they are configured."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from vmdirac.config.images import ImageConfig
from vmdirac.model.pod import BootSource, DeadlineOverrides, Image


def image(**values: Any) -> Image:
    return ImageConfig.model_validate(values).image("image")


def test_one_source_for_all_endpoints() -> None:
    found = image(boot_image="base", flavor="small")
    assert found == Image("image", "cloudinit", BootSource("base", "small"), revision=found.revision)


def test_an_endpoint_may_differ_in_either() -> None:
    found = image(
        boot_image="base", flavor="small", endpoints={"A": {"flavor": "large"}, " B ": {"boot_image": "other"}, "C": {}}
    )
    assert found.on("A") == BootSource("base", "large")
    assert found.on("B") == BootSource("other", "small")
    assert found.on("C") == found.on("elsewhere") == BootSource("base", "small")


def test_without_a_default_only_the_endpoints_named() -> None:
    found = image(endpoints={"A": {"boot_image": "base", "flavor": "small"}})
    assert found.on("A") == BootSource("base", "small")
    assert found.on("B") is None
    # Half of one is no default, but completes an entry.
    found = image(flavor="small", endpoints={"A": {"boot_image": "base"}})
    assert found.on("A") == BootSource("base", "small")
    assert found.on("B") is None


def test_the_highest_price() -> None:
    assert image(boot_image="base", flavor="small").max_allowed_price is None
    assert image(boot_image="base", flavor="small", max_allowed_price="0.5").max_allowed_price == 0.5


@pytest.mark.parametrize("price", [0, -1, "cheap", float("nan"), float("inf"), 1e7])
def test_prices_that_are_none(price: object) -> None:
    with pytest.raises(ValidationError, match="max_allowed_price"):
        image(boot_image="base", flavor="small", max_allowed_price=price)


def test_deadlines() -> None:
    found = image(boot_image="cernvm", flavor="small", boot_deadline=2700)
    assert found.deadlines == DeadlineOverrides(boot=timedelta(minutes=45))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({}, "boot_image and flavor are needed, or an entry for each endpoint"),
        ({"boot_image": "base"}, "boot_image and flavor are needed"),
        ({"flavor": "small"}, "boot_image and flavor are needed"),
        ({"boot_image": "base", "endpoints": {"A": {}}}, "endpoints.A: boot_image and flavor are needed"),
        ({"endpoints": {"A": {"flavor": "small"}}}, "endpoints.A: boot_image and flavor are needed"),
        ({"boot_image": "", "flavor": "small"}, "at least 1 character"),
        ({"boot_image": "base", "flavor": "small", "context_method": "occi_opennebula"}, "'cloudinit'"),
        ({"boot_image": "base", "flavor": "small", "endpoints": ["A"]}, "dictionary"),
        ({"boot_image": "base", "flavor": "small", "endpoints": {"a b": {}}}, "pattern"),
        ({"boot_image": "base", "flavor": "small", "colour": "red"}, "Extra inputs"),
    ],
)
def test_bad_images(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        image(**values)
