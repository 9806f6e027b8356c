"""Until when the bootstrap secret of a VM is good."""

from dataclasses import replace

import pytest

from tests.policy.builders import HOUR, MINUTE, NOW, instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.first_call import first_call_until

S = InstanceStatus
LAUNCHED = NOW - HOUR
LONG_AGO = NOW - 100 * HOUR
DEADLINES = Deadlines(boot=20 * MINUTE, context=5 * MINUTE)
ONE = instance(1, S.SUBMITTED, created_at=LAUNCHED, status_since=LAUNCHED)


def test_it_counts_from_the_launch() -> None:
    assert first_call_until(ONE, DEADLINES, LONG_AGO) == LAUNCHED + 20 * MINUTE


def test_over_ssh_it_counts_from_the_try_that_handed_it_over() -> None:
    one = replace(ONE, status=S.CONTEXTUALIZING, status_since=NOW)
    assert first_call_until(one, DEADLINES, LONG_AGO) == NOW + 5 * MINUTE


@pytest.mark.parametrize("status", [S.SUBMITTED, S.CONTEXTUALIZING])
def test_an_outage_of_ours_uses_up_none_of_it(status: InstanceStatus) -> None:
    one = replace(ONE, status=status)
    assert first_call_until(one, DEADLINES, NOW) > NOW


@pytest.mark.parametrize("status", [S.RUNNING, S.STALLED])
def test_a_status_that_came_by_another_way_does_not_begin_it_anew(status: InstanceStatus) -> None:
    one = replace(ONE, status=status, status_since=NOW)
    assert first_call_until(one, DEADLINES, LONG_AGO) == LAUNCHED + 20 * MINUTE
