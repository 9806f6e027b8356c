"""Rows, listed VMs, and what is decided of the two."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from tests.policy.builders import HOUR, MINUTE, NOW, SECOND, instance
from vmdirac.model.cloud import CloudInstance, CloudState
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Deadlines
from vmdirac.model.states import DrainPhase, InstanceStatus
from vmdirac.policy.reconcile import Action, reconcile

BEGAN: Final = NOW - 10 * SECOND
LONG_AGO: Final = NOW - 100 * HOUR
WORKING: Final = [CloudState.PENDING, CloudState.RUNNING, CloudState.UNKNOWN]


def vm(cloud_id: str = "vm-1", token: str = "token-1", state: CloudState = CloudState.RUNNING) -> CloudInstance:
    return CloudInstance(cloud_id, token, "name", state)


def decide(
    rows: list[Instance],
    listed: list[CloudInstance],
    *,
    began: datetime = BEGAN,
    deadlines: Deadlines | None = None,
    hearing: datetime | None = LONG_AGO,
) -> list[Action]:
    return reconcile(rows, listed, lambda _: deadlines or Deadlines(), began, hearing, NOW)


def row(status: InstanceStatus = InstanceStatus.RUNNING, id_: int = 1, **values: Any) -> Instance:
    """A row whose VM the cloud told the id of, an hour ago."""
    known = {"cloud_id": f"vm-{id_}", "launch_attempts": 1, "last_launch_at": NOW - HOUR}
    return instance(id_, status, **(known | values))


def asked(attempts: int = 1, ago: timedelta = 6 * MINUTE, **values: Any) -> Instance:
    """A New row that the cloud gave no answer for."""
    return row(InstanceStatus.NEW, cloud_id=None, launch_attempts=attempts, last_launch_at=NOW - ago, **values)


def stopping(phase: DrainPhase | None = None, **values: Any) -> Instance:
    return row(InstanceStatus.STOPPING, drain_phase=phase, **values)
