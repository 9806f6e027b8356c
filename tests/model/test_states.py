"""The states, and the groups that decisions are made by."""

from vmdirac.model.states import (
    ACTIVE,
    BOOTING,
    CANCELLABLE,
    LIVE,
    UNFINISHED,
    DrainPhase,
    ImageStatus,
    InstanceStatus,
    RunningPodStatus,
)


def test_the_states_are_spelled_as_vmdirac_spelled_them() -> None:
    assert ",".join(InstanceStatus) == (
        "New,Submitted,Wait_ssh_context,Contextualizing,Running,Stopping,Halted,Stalled,Error"
    )
    assert {state.value for state in ImageStatus} == {"New", "Validated", "Error"}
    assert {state.value for state in RunningPodStatus} == {"New", "Unactive", "Active", "Error"}


def test_groups_of_states() -> None:
    assert {state.value for state in BOOTING} == {"Submitted", "Wait_ssh_context", "Contextualizing"}
    assert set(LIVE - BOOTING) == {InstanceStatus.RUNNING}
    assert set(ACTIVE - LIVE) == {InstanceStatus.NEW}
    assert set(InstanceStatus) - UNFINISHED == {InstanceStatus.HALTED}


def test_a_stop_can_be_taken_back_until_the_delete_begins() -> None:
    assert set(DrainPhase) - CANCELLABLE == {DrainPhase.DELETING}
