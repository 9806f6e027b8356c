"""A complete list that misses so many VMs that it is probably the list that is wrong.

A cloud that answers with another project's list, or with none of it, says so without an error. VMs go one by one: where
a fifth of them is not listed any more, nothing is concluded from what is not there until that has lasted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.cloud import CloudInstance
from vmdirac.model.instance import Instance
from vmdirac.policy.reconcile import VISIBILITY_GRACE, Action, ConfirmGone, GiveUp, LaunchAgain

PATIENCE: Final = timedelta(minutes=10)
"""After so long such lists are believed."""

ALARM_ABOVE: Final = 2
"""So few are never a mass, however small the fleet is."""

ALARM_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class MassAbsence:
    """So many of the VMs that our rows say are there are not listed.

    :param expected: how many should have been listed.
    """

    missing: int
    expected: int


def mass_absence(instances: Iterable[Instance], listed: Sequence[CloudInstance], began: datetime) -> MassAbsence | None:
    """Whether this list misses a mass of VMs. Those that the cloud has agreed to delete are not missed."""
    there = {seen.cloud_id for seen in listed}
    expected = [
        item
        for item in instances
        if item.cloud_id is not None
        and item.holds_a_place
        and item.delete_asked_at is None
        and item.changed_at < began
        and began - item.launched_at > VISIBILITY_GRACE
    ]
    missing = sum(item.cloud_id not in there for item in expected)
    if missing > max(ALARM_ABOVE, ALARM_SHARE * len(expected)):
        return MassAbsence(missing, len(expected))
    return None


def without_absences(actions: Iterable[Action]) -> list[Action]:
    """The actions less all that is concluded from what is not listed."""
    return [
        action
        for action in actions
        if not (isinstance(action, LaunchAgain | GiveUp) or (isinstance(action, ConfirmGone) and action.seen is None))
    ]
