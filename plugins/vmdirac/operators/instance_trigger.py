"""The one trigger that waits for instances, in place of a task that would hold a worker meanwhile."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from vmdirac.policy.one_off import Progress
    from vmdirac.store.database import Store

log = logging.getLogger(__name__)


class VmdiracInstanceTrigger(BaseTrigger):
    """Fires when all instances have reached a target, or when one of them no longer can.

    It reads the store in one query for all of them, never on the event loop, and asks no cloud anything: it is the
    sweeps who see what becomes of VMs. While the store cannot be read it waits on.

    :param instance_ids: ids of instances, ours.
    :param target: ``Submitted``, ``Running`` or ``Halted``.
    :param poll_interval: seconds between two looks.
    :param stop_if_killed: who asks, as the history keeps it: the instances are stopped when somebody ends the waiting
        task; ``None``: they are left.
    :param of_try: the number of the waiting try: what a later one has taken over by then is not stopped.
    """

    def __init__(
        self,
        *,
        instance_ids: Sequence[int],
        target: str,
        poll_interval: float,
        stop_if_killed: str | None = None,
        of_try: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.instance_ids = list(instance_ids)
        self.target = target
        self.poll_interval = poll_interval
        self.stop_if_killed = stop_if_killed
        self.of_try = of_try

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "instance_ids": self.instance_ids,
                "target": self.target,
                "poll_interval": self.poll_interval,
                "stop_if_killed": self.stop_if_killed,
                "of_try": self.of_try,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        self.log.info("waiting until instances %s are %s", self.instance_ids, self.target)
        while True:
            found = await asyncio.to_thread(self._look)
            if found is not None and (found.hopeless or not found.waiting):
                payload = {"instance_ids": self.instance_ids, "hopeless": list(found.hopeless)}
                yield TriggerEvent(payload)  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.poll_interval)

    def _look(self) -> Progress | None:
        """How the instances stand; ``None``: the store cannot be read now, which is no reason to end anything."""
        from sqlalchemy.exc import OperationalError

        from vmdirac.operators.instances_wait import look

        try:
            return look(_store(), self.instance_ids, self.target)
        except OperationalError as error:
            log.warning("vmdirac's database cannot be read now: %s", error)
            return None

    async def on_kill(self) -> None:
        """Write down that the instances are stopped; the next sweep deletes their VMs."""
        if self.stop_if_killed is not None:
            await asyncio.to_thread(self._stop, self.stop_if_killed)

    def _stop(self, who: str) -> None:
        from vmdirac.loops.one_off import stop_all
        from vmdirac.operators.runtime import utc_now

        why = f"{who} was ended while it waited"
        stop_all(_store(), self.instance_ids, why, utc_now(), only_of_try=self.of_try)


def _store() -> Store:
    from vmdirac.config.settings import database_url

    return _store_of(database_url())


@functools.cache
def _store_of(url: str) -> Store:
    """One for all triggers of the process: each with its own would have as many connections as there are waits."""
    from vmdirac.store.database import Store

    return Store(url)
