"""Which (pod, endpoint) pairs can be planned, and with what offer."""

from tests.policy.builders import endpoint, pod
from vmdirac.model.cloud import Shape
from vmdirac.model.pod import BootSource, Image, Traits
from vmdirac.model.requirements import Offer
from vmdirac.policy.candidates import build_candidates, flavors_in_use

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
