"""Which (pod, endpoint) pairs can be planned, and with what offer."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.policy.builders import endpoint, pod
from vmdirac.model.cloud import Shape
from vmdirac.model.pod import BootSource, DeadlineOverrides, Image, Traits
from vmdirac.model.requirements import Offer
from vmdirac.policy.candidates import build_candidates, flavors_in_use, revision_of

SMALL, LARGE = BootSource("base", "small"), BootSource("base", "large")
IMAGES = {
    "image": Image("image", "cloudinit", SMALL, (("B", LARGE),)),
    "only B": Image("only B", "cloudinit", None, (("B", LARGE),)),
}
ENDPOINTS = {"A": endpoint("A", weight=0.5), "B": endpoint("B", site="cern")}
OFFER = Offer(cpu_time=7, owners=("ada",))
POD = pod(endpoints=(("A", 3.0), ("B", 1.0)), offer=OFFER, traits=Traits(tags=("gpu",)))


def test_the_offer_is_the_pods_at_the_endpoints_site_in_the_flavors_shape() -> None:
    shapes = {("A", "small"): Shape(1, 500), ("B", "large"): Shape(4)}
    candidates, invalid = build_candidates([POD], IMAGES, ENDPOINTS, shapes)
    assert invalid == []
    first, second = candidates
    assert (first.endpoint.name, first.weight, first.flavor, first.boot_image) == ("A", 1.5, "small", "base")
    assert first.offer == Offer(
        cpu_time=7, owners=("ada",), tags=("gpu",), site="a", grid_ces=("A",), processors=1, memory_mb=500
    )
    assert (second.endpoint.name, second.weight, second.flavor) == ("B", 1.0, "large")
    assert second.offer == Offer(
        cpu_time=7, owners=("ada",), tags=("gpu",), site="cern", grid_ces=("B",), processors=4, memory_mb=0
    )
    assert first.pod is second.pod


def test_a_flavor_of_unknown_shape_is_reported_and_the_other_pair_goes_on() -> None:
    candidates, invalid = build_candidates([POD], IMAGES, ENDPOINTS, {("A", "small"): Shape(1)})
    assert [item.endpoint.name for item in candidates] == ["A"]
    [bad] = invalid
    assert (bad.pod, bad.endpoint) == ("pod", "B")
    assert "'large'" in bad.message


def test_pairs_that_are_not_configured_are_left_out() -> None:
    shapes = {("A", "small"): Shape(1), ("B", "large"): Shape(4)}
    for one, left in [
        (pod(endpoints=(("A", 1.0), ("C", 1.0))), ["A"]),
        (pod(endpoints=(("A", 1.0), ("B", 1.0)), image="only B"), ["B"]),
        (pod(endpoints=(("A", 1.0),), image="unknown"), []),
    ]:
        candidates, invalid = build_candidates([one], IMAGES, ENDPOINTS, shapes)
        assert [item.endpoint.name for item in candidates] == left
        assert invalid == []


def test_flavors_in_use() -> None:
    pods = [POD, pod("other", endpoints=(("A", 1.0), ("C", 1.0))), pod("b", endpoints=(("A", 1.0),), image="only B")]
    assert flavors_in_use(pods, IMAGES, ENDPOINTS) == {("A", "small"), ("B", "large")}
    assert flavors_in_use([pod(endpoints=(("A", 1.0),), image="unknown")], IMAGES, ENDPOINTS) == set()


ONE_SHAPE = {("A", "small"): Shape(4, 8000)}


def offered(of: Traits, by: Traits, **pods: Any) -> Offer:
    """What a VM offers whose pod says this and whose endpoint that."""
    one = pod(endpoints=(("A", 1.0),), traits=of, **pods)
    [found], invalid = build_candidates([one], IMAGES, {"A": endpoint(traits=by)}, ONE_SHAPE)
    assert invalid == []
    return found.offer


NOTHING = Traits()


@pytest.mark.parametrize(
    ("name", "value", "mine", "its"),
    [
        # What is offered if nobody, the pod, the endpoint, both say something.
        ("processors", 4, 2, 3),
        ("max_ram", 0, 1000, 2000),
        ("platforms", (), ("el9",), ("el8",)),
    ],
)
def test_the_pod_comes_before_the_endpoint_and_that_before_the_flavor(
    name: str, value: object, mine: Any, its: Any
) -> None:
    pods_own, endpoints_own = Traits(**{name: mine}), Traits(**{name: its})
    assert getattr(offered(NOTHING, NOTHING), name) == value
    assert getattr(offered(pods_own, NOTHING), name) == mine
    assert getattr(offered(NOTHING, endpoints_own), name) == its
    assert getattr(offered(pods_own, endpoints_own), name) == mine


@pytest.mark.parametrize(
    ("mine", "its", "offers"),
    [
        (None, None, True),
        (None, False, False),
        (None, True, True),
        (False, True, False),
        (True, False, True),
        (False, None, False),
    ],
)
def test_whole_vms_are_offered_unless_somebody_says_no(mine: bool | None, its: bool | None, *, offers: bool) -> None:
    assert offered(Traits(whole_node=mine), Traits(whole_node=its)).whole_node is offers


def test_tags_are_those_of_both() -> None:
    found = offered(Traits(tags=("a", "b"), required_tags=("a",)), Traits(tags=("c", "b"), required_tags=("c", "a")))
    assert (found.tags, found.required_tags) == (("a", "b", "c"), ("a", "c"))


def test_the_computing_element_is_the_endpoint_unless_the_pod_names_some() -> None:
    assert offered(NOTHING, NOTHING).grid_ces == ("A",)
    assert offered(NOTHING, NOTHING, offer=Offer(7, grid_ces=("x", "y"))).grid_ces == ("x", "y")


def test_a_vm_lives_as_long_as_the_pod_says_or_else_the_image_or_the_endpoint() -> None:
    def lives(pods: float | None, images: float | None, endpoints: float | None) -> int:
        by, through, at = (
            DeadlineOverrides(lifetime=None if value is None else timedelta(seconds=value))
            for value in (pods, images, endpoints)
        )
        image = Image("image", "cloudinit", SMALL, deadlines=through)
        one = pod(endpoints=(("A", 1.0),), deadlines=by)
        [found], _ = build_candidates([one], {"image": image}, {"A": endpoint(deadlines=at)}, ONE_SHAPE)
        return found.offer.max_lifetime

    assert lives(None, None, None) == 0
    assert lives(None, None, 30) == 30
    assert lives(None, 20, 30) == 20
    assert lives(10, 20, 30) == 10
    assert lives(0.5, None, None) == 1, "which is not the same as for ever"


@pytest.mark.parametrize(
    ("lifetime", "boots", "boot_time"),
    [(None, 1, 0), (24, None, 15 * 60), (1, None, 15 * 60), (1, 0.75, 30 * 60), (0.2, None, 6 * 60)],
)
def test_of_its_life_a_vm_may_need_some_to_boot_but_no_more_than_half(
    lifetime: float | None, boots: float | None, boot_time: int
) -> None:
    """In hours."""
    own = DeadlineOverrides(
        lifetime=None if lifetime is None else timedelta(hours=lifetime),
        boot=None if boots is None else timedelta(hours=boots),
    )
    assert offered(NOTHING, NOTHING, deadlines=own).boot_time == boot_time


@pytest.mark.parametrize(
    ("mine", "images", "price"), [(None, None, None), (None, 0.5, 0.5), (0.2, None, 0.2), (0.7, 0.5, 0.7)]
)
def test_the_highest_price_is_the_pods_or_else_the_images(
    mine: float | None, images: float | None, price: float | None
) -> None:
    image = Image("image", "cloudinit", SMALL, max_allowed_price=images)
    one = pod(endpoints=(("A", 1.0),), max_allowed_price=mine)
    [found], _ = build_candidates([one], {"image": image}, ENDPOINTS, ONE_SHAPE)
    assert found.max_price == price


def test_the_revision_changes_with_that_of_pod_image_or_endpoint() -> None:
    image = Image("image", "cloudinit", SMALL)

    def of(pods: str, images: str, endpoints: str) -> str:
        return revision_of(pod(revision=pods), replace(image, revision=images), endpoint(revision=endpoints))

    assert of("", "", "") == ""
    assert of("1", "2", "3") == of("1", "2", "3")
    different = [of("1", "2", "3"), of("9", "2", "3"), of("1", "9", "3"), of("1", "2", "9"), of("", "2", "3")]
    assert len({*different, of("2", "1", "3")}) == 6
    one = pod(endpoints=(("A", 1.0),), revision="1")
    [found], _ = build_candidates([one], {"image": replace(image, revision="2")}, ENDPOINTS, ONE_SHAPE)
    assert found.revision == found.scope.revision == of("1", "2", "")


def test_pairs_whose_image_is_in_error_are_reported_and_the_others_go_on() -> None:
    shapes = {("A", "small"): Shape(1), ("B", "large"): Shape(4)}
    other = pod("other", image="only B", endpoints=(("B", 1.0),))
    candidates, invalid = build_candidates([POD, other], IMAGES, ENDPOINTS, shapes, {"image": "it never boots"})
    assert [item.pod.name for item in candidates] == ["other"]
    assert [(item.pod, item.endpoint) for item in invalid] == [("pod", "A"), ("pod", "B")]
    for item in invalid:
        assert "image 'image' is in Error: it never boots" in item.message
        assert "vmdirac reset image image" in item.message


@pytest.mark.parametrize(
    ("mine", "its", "banned", "message"),
    [
        (Traits(), Traits(required_tags=("gpu", "ssd")), (), "must carry tags that its VMs do not offer: gpu, ssd"),
        (Traits(tags=("gpu",)), Traits(required_tags=("gpu",)), (), ""),
        (Traits(tags=("any",)), Traits(required_tags=("gpu",)), (), ""),
        (Traits(), Traits(required_tags=("Any",)), (), ""),
        (Traits(tags=("gpu",)), Traits(required_tags=("gpu",)), ("gpu",), "must carry and must not carry: gpu"),
        (Traits(tags=("gpu",)), Traits(required_tags=("gpu",)), ("gpu", "any"), ""),
        (Traits(tags=("gpu", "x")), Traits(required_tags=("gpu",)), ("x",), ""),
    ],
)
def test_a_pair_that_no_job_can_match_is_reported_and_the_other_pair_goes_on(
    mine: Traits, its: Traits, banned: tuple[str, ...], message: str
) -> None:
    one = pod(endpoints=(("A", 1.0), ("B", 1.0)), traits=mine, offer=Offer(7, banned_tags=banned))
    shapes = {("A", "small"): Shape(1), ("B", "large"): Shape(4)}
    on = {"A": endpoint("A", traits=its), "B": endpoint("B")}
    candidates, invalid = build_candidates([one], IMAGES, on, shapes)
    assert [item.endpoint.name for item in candidates] == (["B"] if message else ["A", "B"])
    assert [item.endpoint for item in invalid] == (["A"] if message else [])
    assert all(item.message.endswith(message) for item in invalid)
