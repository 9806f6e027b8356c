"""Agents of version 1, and which pods they served."""

import pytest

from tests.cs_import.made import Tree, of_tree, v1
from vmdirac.cs_import.ledger import Verdict

AT = "/Systems/WorkloadManagement/Setup/Agents"


def with_agents(**agents: Tree) -> Tree:
    return {**v1(), "Systems": {"WorkloadManagement": {"Setup": {"Agents": dict(agents)}}}}


@pytest.mark.parametrize(
    ("pools", "section", "told"),
    [
        ("a", {"RunningPods": "p"}, ""),
        ("a, b", {"RunningPods": "x, p"}, "there is no section of the submit pool 'b'"),
        ("b", {"RunningPods": "p"}, "pods p: no submit pool of the scheduler lists them"),
        ("a", {"RunningPods": "x"}, "pods p: no submit pool of the scheduler lists them"),
        ("a", {}, "pods p: no submit pool of the scheduler lists them"),
    ],
)
def test_pods_that_no_pool_lists_never_ran(pools: str, section: Tree, told: str) -> None:
    made = of_tree(with_agents(VirtualMachineScheduler={"SubmitPools": pools, "a": section}))
    assert "p" in made.outcome.pods
    assert told in made.notes()
    assert ("pods p" in made.notes()) == told.startswith("pods p")
    assert made.verdict(f"{AT}/VirtualMachineScheduler/SubmitPools") is Verdict.NO_EFFECT


def test_without_a_scheduler_it_is_not_known() -> None:
    assert "which pods VMDIRAC ran is not known" in of_tree(v1()).notes()


def test_a_scheduler_alone_is_something() -> None:
    tree = {"Systems": with_agents(VirtualMachineScheduler={"PollingTime": "60"})["Systems"]}
    made = of_tree(tree)
    assert made.outcome.pods == {}
    assert made.verdict(f"{AT}/VirtualMachineScheduler/PollingTime") is Verdict.NO_EFFECT


def test_a_misspelt_option_is_unknown() -> None:
    made = of_tree(with_agents(VirtualMachineScheduler={"PolingTime": "hunter2", "a": {"Runningpods": "x"}}))
    for name in ("PolingTime", "a/Runningpods"):
        entry = made.entry(f"{AT}/VirtualMachineScheduler/{name}")
        assert (entry.verdict, entry.shown) == (Verdict.UNKNOWN, False)
