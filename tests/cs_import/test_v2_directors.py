"""What version 2 says for a whole VO."""

import pytest

from tests.cs_import.made import Tree, of_tree, v2, v2_endpoint
from vmdirac.cs_import.ledger import Verdict

SITES: dict[str, Tree] = {"S.one.ch": {"ce": v2_endpoint()}, "S.two.ch": {"ce2": v2_endpoint()}}
AT = "/Systems/WorkloadManagement/Setup/Agents/CloudDirector"


def test_one_director() -> None:
    made = of_tree(v2(SITES, {"CloudDirector": {"Group": "g, h", "MaxVMsToSubmit": "4", "Site": "Any"}}))
    assert made.outcome.pods["small"].fields["requirements"]["owner_groups"] == ["g", "h"]
    assert {endpoint.extra["max_launch_per_tick"] for endpoint in made.outcome.endpoints.values()} == {4}
    assert made.verdict(f"{AT}/MaxVMsToSubmit") is Verdict.CHANGED
    assert "no CloudDirector served" not in made.notes()


@pytest.mark.parametrize("second", [{"Group": "other"}, {}], ids=["another group", "all groups"])
def test_groups_of_several_directors_are_for_a_person_to_decide(second: Tree) -> None:
    made = of_tree(v2(SITES, {"CloudDirectorA": {"Group": "g"}, "CloudDirectorB": {"VO": "v", **second}}))
    assert "owner_groups" not in made.outcome.pods["small"].fields["requirements"]
    assert made.verdict(f"{AT}A/Group") is Verdict.NO_EFFECT
    assert f"{AT}A/Group" in made.notes()
    assert "set owner_groups of the pods yourself" in made.notes()


def test_the_cap_of_launches_was_one() -> None:
    assert "started one VM for each VM type and cycle" in of_tree(v2(SITES)).notes()
    assert "max_launch_per_tick" not in of_tree(v2(SITES)).outcome.endpoints["ce"].extra


def test_sites_that_no_director_served_are_told() -> None:
    made = of_tree(v2(SITES, {"CloudDirector": {"Site": "S.one.ch"}}))
    assert "no CloudDirector served S.two.ch" in made.notes()
    made = of_tree(v2(SITES, {"CloudDirectorA": {"Site": "S.one.ch"}, "CloudDirectorB": {"VO": "v"}}))
    assert "no CloudDirector served" not in made.notes()


def test_a_list_of_endpoints_was_read_and_not_applied() -> None:
    made = of_tree(v2(SITES, {"CloudDirector": {"CEs": "ce"}}))
    assert made.outcome.pods["small"].fields["endpoints"] == {"ce": 1, "ce2": 1}
    assert made.verdict(f"{AT}/CEs") is Verdict.NO_EFFECT
    assert "ran on all endpoints all the same" in made.entry(f"{AT}/CEs").text


def test_the_submit_pool_that_was_built_in_is_not_taken_over() -> None:
    made = of_tree(v2(SITES))
    assert "submit_pools" not in made.outcome.pods["small"].fields["requirements"]
    assert "wenmrPool" in made.notes()


def test_operations() -> None:
    cloud: Tree = {
        "SubmitPool": "p",
        "ReleaseVersion": "v7r2",
        "pod": {"VMStopPolicy": "never", "HaltBeforeMargin": "60", "MinWorkingLoad": "0.1"},
    }
    made = of_tree(v2(SITES, operations={"vo": {"Cloud": cloud}}))
    fields = made.outcome.pods["small"].fields
    assert fields["requirements"]["submit_pools"] == ["p"]
    assert (fields["halt_period"], fields["halt_before_margin"], fields["min_working_load"]) == (600, 60, 0.1)
    assert {endpoint.extra["vm_stop_policy"] for endpoint in made.outcome.endpoints.values()} == {"never"}
    assert made.verdict("/Operations/vo/Cloud/pod/VMStopPolicy") is Verdict.CHANGED
    assert made.verdict("/Operations/vo/Cloud/ReleaseVersion") is Verdict.NO_EFFECT


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        ("v", {"SubmitPool": "p"}, True),
        ("v", {"SubmitPool": "q"}, False),
        ("v", {"BootType": "pilot"}, False),
        ("Defaults", {"BootType": "pilot"}, True),
    ],
)
def test_what_two_vos_say(first: str, second: Tree, taken: bool) -> None:
    operations: Tree = {first: {"Cloud": {"SubmitPool": "p", "pod": {"HaltPeriod": "700"}}}, "w": {"Cloud": second}}
    made = of_tree(v2(SITES, operations=operations))
    assert ("submit_pools" in made.outcome.pods["small"].fields["requirements"]) == taken
    assert (made.verdict(f"/Operations/{first}/Cloud/SubmitPool") is Verdict.TAKEN) == taken
    # What shuts out no jobs may be said by one of them.
    assert made.outcome.pods["small"].fields["halt_period"] == 700


def test_without_endpoints_nothing_is_taken_over() -> None:
    made = of_tree(v2({}, {"CloudDirector": {"Group": "g"}}))
    assert made.outcome.pods == {}
    assert made.verdict(f"{AT}/Group") is Verdict.LEFT_OUT
