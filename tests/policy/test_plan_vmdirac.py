"""What the original scheduler did with these set-ups (its reference vectors A1 to A7, A16 to A18), kept or put
right. A12, a heartbeat that revives a Stalled VM, is the manager's: ``tests/manager/test_vm_routes.py``."""

import copy
import random

from tests.policy.builders import NOW, candidate, codes, endpoint, instance, plan, planned, pod, queue, static
from vmdirac.model.cloud import Shape
from vmdirac.model.demand import Demand
from vmdirac.model.hold import Hold, HoldKind
from vmdirac.model.instance import Instance
from vmdirac.model.pod import BootSource, Image
from vmdirac.model.requirements import Offer
from vmdirac.policy.candidates import build_candidates
from vmdirac.policy.plan import Invalid, make_plan

POD = pod()


def active(count: int, on: str) -> list[Instance]:
    """Running VMs with a job each."""
    first = 100 if on == "A" else 200
    return [instance(first + number, endpoint=on, jobs=1, busy_processors=1) for number in range(count)]


def test_a1_a_full_endpoint_gets_nothing_whatever_was_looked_at_before() -> None:
    """VMDIRAC carried the number of one endpoint over to the next and sent 10 VMs to the full one."""
    both = [candidate(POD, static("A", max_instances=10)), candidate(POD, static("B", max_instances=5))]
    made = plan(both, [queue(50)], active(5, "B"))
    assert planned(made) == {("pod", "A"): 10}
    assert codes(made, "pod", "B") == ["endpoint_limit"]


def test_a2_a_static_endpoint_is_filled_beside_an_elastic_one() -> None:
    """VMDIRAC kept only the last endpoint it looked at, and sent 1 VM to the elastic one."""
    both = [candidate(POD, static("A", max_instances=10)), candidate(POD, endpoint("B", max_instances=10))]
    assert planned(plan(both, [queue(50)])) == {("pod", "A"): 10, ("pod", "B"): 10}
    assert planned(plan(both, [queue(12)])) == {("pod", "A"): 10, ("pod", "B"): 2}
    assert planned(plan(both, [queue(4)])) == {("pod", "A"): 10}


def test_a3_the_free_endpoint_is_filled_when_the_other_is_full() -> None:
    both = [candidate(POD, static("A", max_instances=10)), candidate(POD, static("B", max_instances=5))]
    assert planned(plan(both, [queue(50)], active(10, "A"))) == {("pod", "B"): 5}


def test_a4_vms_offer_the_site_that_they_are_at() -> None:
    """VMDIRAC sent the VMs to A with the requirements of B, whose site it had looked at last."""
    jobs_for_a = [queue(50, sites=("a",))]
    made = plan([candidate(POD, static("A", max_instances=10)), candidate(POD, static("B"))], jobs_for_a)
    assert planned(made) == {("pod", "A"): 10}
    assert [launch.candidate.offer.site for launch in made.launches] == ["a"]
    assert codes(made, "pod", "B") == ["no_matching_jobs"]


def test_a5_the_pods_limit_clips_what_is_started() -> None:
    """VMDIRAC only looked at it before, and then started 10."""
    three = pod(max_instances=3)
    made = plan([candidate(three, static("A", max_instances=10))], [queue(50)])
    assert planned(made) == {("pod", "A"): 3}
    assert codes(made) == ["static_fill", "pod_limit"]


def test_a6_no_jobs_here_and_no_room_there_starts_nothing() -> None:
    """VMDIRAC sent what was free at A to the full B."""
    both = [candidate(POD, static("A", max_instances=10)), candidate(POD, static("B", max_instances=5))]
    made = plan(both, [queue(50, sites=("b",))], active(5, "B"))
    assert planned(made) == {}
    assert codes(made, "pod", "A") == ["no_matching_jobs"]
    assert codes(made, "pod", "B") == ["endpoint_limit"]


def test_a7_a_full_endpoint_alone_gets_nothing() -> None:
    assert planned(plan([candidate(POD, static("B", max_instances=5))], [queue(50)], active(5, "B"))) == {}


def test_a16_nothing_sticks_between_two_plans() -> None:
    """VMDIRAC kept asking for test jobs at a site that had been masked once."""
    given = {
        "candidates": [
            candidate(pod("one"), static("A", max_instances=3), job_types=("Test",)),
            candidate(pod("one"), endpoint("B", launch_rate=2)),
            candidate(pod("two"), endpoint("B"), tags=("gpu",)),
        ],
        "invalid": [Invalid("bad", "", "no image")],
        "instances": [instance(1, pod="one"), instance(2, pod="two", endpoint="B", jobs=1, busy_processors=1)],
        "demand": Demand((queue(9, key="1", tags=("gpu",)), queue(9, key="2", job_types=("Test",))), NOW),
        "holds": [Hold("A", HoldKind.BOOT, "no", NOW, NOW, pod="one")],
        "recent_launches": {"B": 1},
    }
    before = copy.deepcopy(given)

    def made() -> object:
        return make_plan(**given, hearing_since=NOW, now=NOW, rng=random.Random(1))  # type: ignore[arg-type]

    first = made()
    assert given == before, "a plan changes nothing of what it is made from"
    masked = plan([candidate(POD, endpoint("A"), job_types=("Test",))], [queue(5, job_types=("User",))])
    assert planned(masked) == {}
    unmasked = plan([candidate(POD, endpoint("A"))], [queue(5, job_types=("User",))])
    assert planned(unmasked) == {("pod", "A"): 5}
    assert made() == first, "and another one in between changes nothing of it"


def test_a17_a_pod_uses_the_endpoints_that_it_names_and_no_other() -> None:
    """VMDIRAC used both although only one was named."""
    endpoints = {name: endpoint(name) for name in ("ce1", "ce2")}
    images = {"image": Image("image", "cloudinit", BootSource("base", "small"))}
    shapes = {(name, "small"): Shape(1) for name in endpoints}
    one = pod(endpoints=(("ce1", 1.0),))
    candidates, invalid = build_candidates([one], images, endpoints, shapes)
    made = plan(candidates, [queue(5), queue(5, key="named", grid_ces=("ce2",))], invalid=invalid)
    assert planned(made) == {("pod", "ce1"): 5}
    assert [(item.pod, item.endpoint) for item in made.decisions] == [("pod", "ce1")]


def test_a18_what_is_not_known_of_one_endpoint_stops_no_other() -> None:
    """VMDIRAC broke its cycle off when the counters of one could not be read."""
    endpoints = {name: endpoint(name) for name in ("A", "B")}
    images = {"image": Image("image", "cloudinit", BootSource("base", "small"))}
    pods = [pod("one", endpoints=(("A", 1.0), ("B", 1.0))), pod("two", endpoints=(("A", 1.0), ("gone", 1.0)))]
    candidates, invalid = build_candidates(pods, images, endpoints, {("B", "small"): Shape(2, 0)})
    # Rows of endpoints and pods that nobody knows any more, with offers of all kinds.
    strange = [
        instance(1, endpoint="gone", pod="gone", offer=Offer(0, processors=0), processors=0),
        instance(2, endpoint="A", pod="one", offer=Offer(-1, memory_mb=-5), memory_mb=-5, busy_processors=99),
    ]
    holds = [Hold("gone", HoldKind.AUTH, "no", NOW, NOW), Hold("A", HoldKind.BOOT, "no", NOW, NOW, pod="gone")]
    made = plan(candidates, [queue(4), queue(1, key="odd", cpu_time=0)], strange, holds=holds, invalid=invalid)
    assert planned(made) == {("one", "B"): 3}
    assert {(item.pod, item.endpoint) for item in made.decisions} == {("one", "A"), ("one", "B"), ("two", "A")}
    assert codes(made, "one", "A") == codes(made, "two", "A") == ["invalid"]
