"""Waiting for instances, in a task or in a trigger."""

from __future__ import annotations

from collections.abc import Sequence
from time import sleep

from vmdirac.policy.one_off import Progress, Target, progress
from vmdirac.store import one_offs
from vmdirac.store.database import Store


def look(store: Store, ids: Sequence[int], target: str) -> Progress:
    """How these instances stand on their way to a target."""
    with store.read() as session:
        return progress(ids, one_offs.standings(session, ids), Target(target))


def wait(store: Store, ids: Sequence[int], target: str, poll_interval: float) -> Progress:
    """Wait until all of them are there, or one of them cannot get there any more."""
    while (found := look(store, ids, target)).waiting and not found.hopeless:
        sleep(poll_interval)
    return found
