"""Which state an instance may go to from which: the table of the design, spelled out a second time."""

from itertools import product

import pytest

from vmdirac.model.states import InstanceStatus as S
from vmdirac.model.transitions import TRANSITIONS, TransitionNotPermittedError, ensure_permitted

LIVE_STATES = (S.SUBMITTED, S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING, S.RUNNING)

PERMITTED = {
    # The cloud took the launch, refused it, or never made the VM.
    (S.NEW, S.SUBMITTED),
    (S.NEW, S.WAIT_SSH_CONTEXT),
    (S.NEW, S.ERROR),
    (S.NEW, S.HALTED),
    # Contextualization by ssh, tried again when it fails.
    (S.WAIT_SSH_CONTEXT, S.CONTEXTUALIZING),
    (S.CONTEXTUALIZING, S.WAIT_SSH_CONTEXT),
    # The VM calls in, also after it was silent.
    (S.SUBMITTED, S.RUNNING),
    (S.CONTEXTUALIZING, S.RUNNING),
    (S.WAIT_SSH_CONTEXT, S.RUNNING),
    (S.STALLED, S.RUNNING),
    # Every live VM may be stopped, fall silent, or be gone.
    *product(LIVE_STATES, (S.STOPPING, S.STALLED, S.HALTED)),
    (S.STALLED, S.STOPPING),
    (S.STALLED, S.HALTED),
    # The end, and a stop that is taken back to where it came from.
    (S.STOPPING, S.HALTED),
    *((S.STOPPING, state) for state in (*LIVE_STATES, S.STALLED)),
    # What is left of a VM whose launch failed is cleaned up.
    (S.ERROR, S.STOPPING),
    (S.ERROR, S.HALTED),
}


@pytest.mark.parametrize(("source", "target"), sorted(product(S, S)))
def test_every_change_of_state(source: S, target: S) -> None:
    if (source, target) in PERMITTED:
        ensure_permitted(source, target)
        return
    with pytest.raises(TransitionNotPermittedError, match=f"from {source} to {target}") as refused:
        ensure_permitted(source, target)
    assert (refused.value.source, refused.value.target) == (source, target)


def test_the_table_knows_every_state() -> None:
    assert TRANSITIONS.keys() == set(S)


def test_halted_is_the_only_end() -> None:
    assert [state for state, targets in TRANSITIONS.items() if not targets] == [S.HALTED]


def test_every_state_can_reach_the_end() -> None:
    ends: set[S] = {S.HALTED}
    while more := {state for state, targets in TRANSITIONS.items() if targets & ends} - ends:
        ends |= more
    assert ends == set(S)


def test_the_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[S.HALTED] = frozenset({S.RUNNING})  # type: ignore[index]
