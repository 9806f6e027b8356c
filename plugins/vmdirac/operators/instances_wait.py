"""Waiting for instances, in a task or in a trigger."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import sleep

from sqlalchemy.exc import OperationalError

from vmdirac.policy.one_off import Progress, Target, progress
from vmdirac.store import one_offs
from vmdirac.store.database import Store

log = logging.getLogger(__name__)


def look(store: Store, ids: Sequence[int], target: str) -> Progress:
    """How these instances stand on their way to a target."""
    with store.read() as session:
        return progress(ids, one_offs.standings(session, ids), Target(target))


def wait(store: Store, ids: Sequence[int], target: str, poll_interval: float) -> Progress:
    """Wait until all of them are there, or one of them cannot get there any more. While the store cannot be read it
    waits on: that is no reason to end anything."""
    while True:
        try:
            found = look(store, ids, target)
        except OperationalError as error:
            log.warning("vmdirac's database cannot be read now: %s", error)
        else:
            if found.hopeless or not found.waiting:
                return found
        sleep(poll_interval)
