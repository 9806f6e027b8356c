"""Instances as if they had lived up to some point, written straight into the table."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from tests.fakes.clock import START
from vmdirac.model.instance import Instance
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instances
from vmdirac.store.tables import InstanceRow

_numbers = itertools.count(1)


def instance_row(status: InstanceStatus = InstanceStatus.RUNNING, at: datetime = START, **fields: Any) -> InstanceRow:
    """A row with a token, and a cloud id, of its own."""
    number = next(_numbers)
    offer = fields.pop("offer", Offer(cpu_time=100_000, processors=fields.get("processors", 1)))
    default = {
        "pod": "pod",
        "image": "worker",
        "endpoint": "alpha",
        "name": f"vmdirac-{number}",
        "flavor": "small",
        "launch_token": f"{number:08x}-0000",
        "cloud_id": None if status is InstanceStatus.NEW else f"made-{number}",
        "created_at": at,
        "status_since": at,
        "changed_at": at,
        "request": {"name": "n", "boot_image": "linux", "flavor": "small", "user_data": "…"},
        "processors": 1,
        "memory_mb": 0,
        "heartbeat_period": 60.0,
        "secret_key_id": "0" * 16,
        "bootstrap_hash": "0" * 64,
    }
    return InstanceRow(status=status, offer=asdict(offer), **{**default, **fields})


def add_instance(session: Session, status: InstanceStatus = InstanceStatus.RUNNING, **fields: Any) -> Instance:
    """The same, in the store already."""
    row = instance_row(status, **fields)
    instances.add(session, [row], "made by a test")
    found = instances.get(session, row.id)
    assert found is not None
    return found
