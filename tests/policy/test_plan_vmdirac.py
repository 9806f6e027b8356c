"""What the original scheduler did with these set-ups (its reference vectors A1 to A7), kept or put right."""

from tests.policy.builders import candidate, codes, endpoint, instance, plan, planned, pod, queue, static
from vmdirac.model.instance import Instance

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
