"""What to do about VMs that carry our tag and that no instance knows.

Such a VM is never deleted at first sight: our own row may be on its way, or the database an older copy of itself.
It is marked, and deleted only when a later list still shows it and nothing speaks for it (source: Philips' GitHub
runners module, ``scale-down.ts``, which tags orphans and looks again; the share is our own guard against a restored
database, whose VMs are all unknown at once).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.cloud import CloudInstance
from vmdirac.model.orphan import Orphan
from vmdirac.policy.backoff import delete_is_due

SEEN_AGAIN_AFTER: Final = timedelta(minutes=5)
"""A second look that comes sooner says no more than the first one."""

CALLED_LATELY: Final = timedelta(hours=1)
"""A VM that has called in within this time may work for somebody: for us, before the database was restored."""

ALARM_ABOVE: Final = 3
ALARM_SHARE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is concluded from one complete list of an endpoint.

    :param mark: VMs that were not known to be orphans before.
    :param delete: orphans whose time has come.
    :param kept: orphans that somebody tagged to be kept.
    :param alarm: there are so many that it is probably us: nothing is deleted.
    """

    mark: tuple[CloudInstance, ...]
    delete: tuple[Orphan, ...]
    kept: int
    alarm: bool


def judge(
    strangers: Sequence[CloudInstance], known: Mapping[str, Orphan], listed: int, began: datetime, now: datetime
) -> Verdict:
    """Judge the VMs that no instance knows.

    :param strangers: those that a complete list shows.
    :param known: what is remembered of them from earlier lists, by cloud id.
    :param listed: all VMs in the list.
    :param began: when the list was begun.
    """
    loose = [seen for seen in strangers if not seen.kept]
    alarm = len(loose) > max(ALARM_ABOVE, ALARM_SHARE * listed)
    mark = tuple(seen for seen in loose if seen.cloud_id not in known)
    delete = tuple(
        orphan for seen in loose if (orphan := known.get(seen.cloud_id)) is not None and _is_due(orphan, began, now)
    )
    return Verdict(mark, () if alarm else delete, len(strangers) - len(loose), alarm)


def _is_due(orphan: Orphan, began: datetime, now: datetime) -> bool:
    if orphan.called_at is not None and now - orphan.called_at <= CALLED_LATELY:
        return False
    if began - orphan.first_seen < SEEN_AGAIN_AFTER:
        return False
    return delete_is_due(orphan.delete_attempts, orphan.delete_failed_at, now)
