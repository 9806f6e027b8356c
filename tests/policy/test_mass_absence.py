"""A list that misses many VMs at once is probably wrong."""

from dataclasses import replace
from typing import Any

import pytest

from tests.policy.builders import MINUTE, NOW
from tests.policy.listed import BEGAN, asked, row, vm
from vmdirac.model.cloud import CloudState
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.mass_absence import MassAbsence, mass_absence, without_absences
from vmdirac.policy.reconcile import Action, ConfirmGone, CountAbsence, GiveUp, LaunchAgain, Observe


@pytest.mark.parametrize(
    ("missing", "there", "mass"), [(2, 0, False), (3, 0, True), (3, 11, True), (3, 12, False), (21, 79, True)]
)
def test_more_than_a_fifth_and_more_than_two(missing: int, there: int, mass: bool) -> None:
    rows = [row(id_=number) for number in range(missing + there)]
    listed = [vm(f"vm-{number}") for number in range(missing, missing + there)]
    assert mass_absence(rows, listed, BEGAN) == (MassAbsence(missing, missing + there) if mass else None)


@pytest.mark.parametrize(
    "fields",
    [
        {"delete_asked_at": NOW - MINUTE},
        {"last_launch_at": BEGAN - MINUTE},
        {"changed_at": BEGAN},
        {"cloud_id": None},
        {"status": InstanceStatus.ERROR, "vm_gone": True},
    ],
)
def test_who_need_not_be_listed_is_not_missed(fields: dict[str, Any]) -> None:
    rows = [replace(row(id_=number), **fields) for number in range(9)]
    assert mass_absence(rows, [], BEGAN) is None


def test_only_what_follows_from_absence_is_left_out() -> None:
    one, gone = row(), vm(state=CloudState.TERMINATED)
    kept: list[Action] = [Observe(one, vm()), CountAbsence(one), ConfirmGone(one, gone)]
    assert without_absences([*kept, ConfirmGone(one), LaunchAgain(asked()), GiveUp(asked())]) == kept
