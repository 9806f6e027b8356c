"""What a VM that calls in is told to do."""

from itertools import product

import pytest

from vmdirac.model.states import DrainPhase as P
from vmdirac.model.states import InstanceStatus as S
from vmdirac.policy.vm_answer import is_revoked, next_phase, should_halt


@pytest.mark.parametrize(
    ("phase", "draining", "jobs", "then"),
    [
        # It has not understood yet: also without a job it may take one the next moment.
        (P.ASKED, False, 0, P.ASKED),
        (P.ASKED, False, 3, P.ASKED),
        (P.ASKED, True, 3, P.ACKNOWLEDGED),
        (P.ASKED, True, 0, P.EMPTY),
        (P.ACKNOWLEDGED, True, 1, P.ACKNOWLEDGED),
        (P.ACKNOWLEDGED, True, 0, P.EMPTY),
        (P.ACKNOWLEDGED, False, 0, P.ACKNOWLEDGED),
        # What was reached stays reached, whatever it says.
        (P.EMPTY, False, 0, P.EMPTY),
        # But a VM that works is not deleted, and one that does not even say that it drains must do so anew.
        (P.EMPTY, True, 2, P.ACKNOWLEDGED),
        (P.EMPTY, False, 1, P.ASKED),
        (P.DELETING, True, 0, P.DELETING),
        (P.DELETING, False, 5, P.DELETING),
        # Nobody asked it to drain.
        (None, True, 0, None),
        (None, False, 0, None),
    ],
)
def test_how_far_a_drain_is(phase: P | None, jobs: int, then: P | None, *, draining: bool) -> None:
    assert next_phase(phase, draining=draining, jobs=jobs) is then


@pytest.mark.parametrize(("status", "phase", "forced"), list(product(S, [None, *P], [False, True])))
def test_when_a_vm_is_to_end(status: S, phase: P | None, *, forced: bool) -> None:
    over = status in {S.HALTED, S.ERROR}
    given_up = status is S.STOPPING and (forced or phase is P.DELETING)
    assert should_halt(status, phase, forced=forced) is (over or given_up)


@pytest.mark.parametrize(("status", "phase", "said"), list(product(S, [None, *P], [False, True])))
def test_from_when_on_a_token_is_good_for_nothing_more(status: S, phase: P | None, *, said: bool) -> None:
    over = status in {S.HALTED, S.ERROR}
    drained = status is S.STOPPING and (said or phase is P.DELETING)
    assert is_revoked(status, phase, said_halting=said) is (over or drained)
