"""What stopping does to an instance, by where it stands."""

from dataclasses import replace

import pytest

from tests.policy.builders import instance
from vmdirac.model.states import InstanceStatus
from vmdirac.model.stop import StopStep
from vmdirac.policy.stop import steps_of

S, Step = InstanceStatus, StopStep


@pytest.mark.parametrize(
    ("status", "graceful", "forced"),
    [
        (S.NEW, Step.RETIRE, Step.RETIRE),
        (S.SUBMITTED, Step.END, Step.FORCE),
        (S.WAIT_SSH_CONTEXT, Step.END, Step.FORCE),
        (S.CONTEXTUALIZING, Step.END, Step.FORCE),
        (S.RUNNING, Step.DRAIN, Step.FORCE),
        (S.STALLED, Step.DRAIN, Step.FORCE),
        (S.STOPPING, None, Step.FORCE),
        (S.HALTED, None, None),
        (S.ERROR, None, None),
    ],
)
def test_by_its_state(status: InstanceStatus, graceful: StopStep | None, forced: StopStep | None) -> None:
    one = instance(1, status)
    assert steps_of([one], forced=False) == ([(one, graceful)] if graceful else [])
    assert steps_of([one], forced=True) == ([(one, forced)] if forced else [])


def test_one_that_goes_by_force_already_is_left() -> None:
    assert steps_of([replace(instance(1, S.STOPPING), forced=True)], forced=True) == []


def test_nobody_on_the_vm_of_a_task_could_be_asked_to_drain() -> None:
    one = replace(instance(1, S.RUNNING), requester_key="key")
    assert steps_of([one], forced=False) == [(one, Step.FORCE)]
