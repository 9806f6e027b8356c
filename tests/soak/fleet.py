"""A cloud in memory whose machines run agents, and what befalls them."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.fakes.account import Inventory, MemoryAccount
from tests.soak.agents import Agent, Tally
from vmdirac.model.cloud import CloudState


class SharedAccount(MemoryAccount):
    """The loops' thread and the agents' take turns at it."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()

    @contextmanager
    def opened(self) -> Iterator[Inventory]:
        with self._lock, super().opened() as inventory:
            yield inventory


class Fleet:
    """The agents on all machines of the account."""

    def __init__(
        self,
        account: SharedAccount,
        client: httpx.AsyncClient,
        rng: random.Random,
        job_seconds: tuple[float, float],
    ) -> None:
        self.tally = Tally()
        self._account, self._client, self._rng, self._job_seconds = account, client, rng, job_seconds
        self._running: dict[str, asyncio.Task[None]] = {}
        self._agents: dict[str, Agent] = {}
        self._booted: set[str] = set()
        self.dead: set[str] = set()
        """Machines that died, by their ids in the cloud."""

    def boot(self) -> None:
        """Start an agent on each new machine, and end those of machines that are gone."""
        with self._account.opened() as inventory:
            machines = dict(inventory.machines)
        for cloud_id, machine in machines.items():
            if machine.state is CloudState.RUNNING and cloud_id not in self._booted:
                self._booted.add(cloud_id)
                self._start(cloud_id, machine.request.user_data)
            elif machine.gone and cloud_id in self._running:
                self._running[cloud_id].cancel()
        self._running = {cloud_id: task for cloud_id, task in self._running.items() if not task.done()}

    def _start(self, cloud_id: str, user_data: str) -> None:
        agent = Agent(
            self._client,
            user_data,
            self.tally,
            random.Random(self._rng.random()),
            job_seconds=self._job_seconds,
            ended=lambda: self._power_off(cloud_id),
        )
        self._agents[cloud_id] = agent
        self._running[cloud_id] = asyncio.create_task(agent.run())

    def _power_off(self, cloud_id: str, state: CloudState = CloudState.STOPPED) -> None:
        with self._account.opened() as inventory:
            machine = inventory.machines[cloud_id]
            if not machine.gone:
                machine.state = state

    # What befalls them.

    def kill_one(self) -> None:
        """A machine dies: it falls silent, lies there, or vanishes."""
        if not self._running:
            return
        cloud_id = self._rng.choice(sorted(self._running))
        self._running[cloud_id].cancel()
        self.dead.add(cloud_id)
        if state := self._rng.choice([None, CloudState.STOPPED, CloudState.TERMINATED]):
            self._power_off(cloud_id, state)

    async def duplicate_one(self) -> None:
        """Somebody else has the user data of a machine, and tries to be it."""
        # Before the machine has registered itself nobody can know that it is somebody else.
        if registered := sorted(key for key in self._running if self._agents[key].registered):
            agent = self._agents[self._rng.choice(registered)]
            try:
                self.tally.duplicates[await agent.register_again(nonce="of-somebody-else-entirely")] += 1
            except httpx.HTTPError:
                return

    async def end(self) -> None:
        """Stop all agents that still run."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
