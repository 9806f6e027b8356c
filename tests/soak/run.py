"""The soak itself: servers, loops, agents, and what befalls them, until all is quiet again."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from tests.fakes.cloud import FakeCloud
from tests.fakes.configured import a_pod, an_endpoint
from tests.fakes.world import World
from tests.servers.airflow_server import AirflowServer
from tests.servers.postgres import PostgresServer
from tests.soak.agents import TIMEOUT
from tests.soak.fleet import Fleet, SharedAccount
from vmdirac.config.settings import secret_keys
from vmdirac.loops.asked_stop import preview_stop, stop_selected, take_back_selected
from vmdirac.model.alert import AlertKind
from vmdirac.model.errors import CloudError
from vmdirac.model.pod import DeadlineOverrides, Traits
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import JobStatus
from vmdirac.model.stop import Selection, StopWish
from vmdirac.store import alerts, instances, queue
from vmdirac.store.database import Store
from vmdirac.store.queue import NewJob
from vmdirac.store.tables import JobRow

HEARTBEAT = 10.0
JOB_SECONDS = (5.0, 25.0)
LOOPS_EVERY = 4.0
TELLS_EVERY = 15.0
ATTEMPTS = 50
"""VMs die all the time here: jobs are begun as often as it takes."""

QUIET_WITHIN = timedelta(minutes=12)
"""After the last misfortune: so many may have vanished together that it is doubted for ten minutes."""

MANY = 200
"""In a smaller fleet not so many die: a mass of deaths is another matter, and takes a person."""


def run(home: Path, agents: int, minutes: float, seed: int) -> dict[str, int]:
    """All of it; what was counted."""
    with PostgresServer(home) as postgres:
        url = postgres.create_database("soak")
        environment = {"AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN": url}
        with AirflowServer(home / "airflow", environment=environment) as airflow:
            return asyncio.run(Soak(url, airflow, agents, random.Random(seed)).run(minutes))


class Soak:
    """One run of it."""

    def __init__(self, url: str, airflow: AirflowServer, agents: int, rng: random.Random) -> None:
        self.store, self.airflow, self.rng = Store(url), airflow, rng
        self.agents = agents
        account = SharedAccount()
        clock: Any = lambda: datetime.now(UTC)  # noqa: E731
        self.cloud = FakeCloud(clock, account)
        self.world = World(self.store, *_configured(agents), clouds={"alpha": self.cloud}, clock=clock, hearing=False)
        self.world.keys = secret_keys()
        connections = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        self.client = httpx.AsyncClient(base_url=f"{airflow.url}/", timeout=TIMEOUT, limits=connections)
        self.fleet = Fleet(account, self.client, rng, JOB_SECONDS)
        self.jobs = 0
        self.outages = 0

    async def run(self, minutes: float) -> dict[str, int]:
        end = time.monotonic() + 60 * minutes
        looping = asyncio.create_task(self._loop_for_ever())
        telling = asyncio.create_task(self._tell_for_ever())
        misfortunes = asyncio.create_task(self._misfortunes(end))
        try:
            while time.monotonic() < end:
                await asyncio.to_thread(self._keep_busy)
                self.fleet.boot()
                await asyncio.sleep(1)
            await misfortunes
            await self._until_quiet()
        finally:
            for task in (looping, telling, misfortunes):
                task.cancel()
            await asyncio.gather(looping, telling, misfortunes, return_exceptions=True)
            await self.fleet.end()
            await self.client.aclose()
        return await asyncio.to_thread(self._counted)

    # The loops, in a thread beside the agents.

    async def _loop_for_ever(self) -> None:
        while True:
            await asyncio.to_thread(self._loops)
            await asyncio.sleep(LOOPS_EVERY)

    def _loops(self) -> None:
        for loop in (self.world.sweep_stalled, self.world.sweep_idle, self.world.reconcile, self.world.tick):
            # What a lost race or a failing cloud left undone the next pass does.
            with suppress(CloudError, ExceptionGroup, DBAPIError):
                loop()

    async def _tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TELLS_EVERY)
            say(await asyncio.to_thread(self._standing))

    def _standing(self) -> str:
        with self.store.read() as session:
            jobs, vms = queue.counts(session), instances.counts(session)
        counts = [*jobs.items(), *vms.items()]
        said = ", ".join(f"{count} {status}" for status, count in counts)
        return f"{said}; {self.fleet.tally.heartbeats} heartbeats, {self.outages} outages"

    def _keep_busy(self) -> None:
        """As many jobs wait as there are VMs."""
        with self.store.read() as session:
            waiting = queue.counts(session).get(JobStatus.WAITING, 0)
        missing = self.agents - waiting
        if missing > 0:
            needs = Requirements(cpu_time=60)
            jobs = [NewJob("job", ("true",), needs, max_attempts=ATTEMPTS)] * missing
            self.store.transact(lambda session: queue.submit(session, jobs, datetime.now(UTC)))
            self.jobs += missing

    # What befalls them.

    async def _misfortunes(self, end: float) -> None:
        things: list[tuple[float, Callable[[], Any]]] = [
            (2.0 * min(1.0, self.agents / MANY), self.fleet.kill_one),
            (1.0, self.fleet.duplicate_one),
            (1.0, self._drain_some),
            (0.5, self._let_some_go_on),
            (0.06, self._outage),
        ]
        weights = [weight for weight, _ in things]
        while time.monotonic() < end:
            await asyncio.sleep(self.rng.expovariate(0.8))
            (_, thing) = self.rng.choices(things, weights)[0]
            done = thing()
            if asyncio.iscoroutine(done):
                await done
        if not self.outages:
            await self._outage()
        if not self.fleet.tally.duplicates:
            await self.fleet.duplicate_one()

    async def _drain_some(self) -> None:
        await asyncio.to_thread(self._stop, forced=self.rng.random() < 0.2)

    def _stop(self, *, forced: bool) -> None:
        ids = [item.id for item in self.world.instances() if item.registered_at is not None and item.holds_a_place]
        self._stop_these(self.rng.sample(ids, min(3, len(ids))), forced=forced)

    def _stop_these(self, ids: Sequence[int], *, forced: bool) -> None:
        if ids:
            wish = StopWish(Selection(ids=tuple(ids)), "soak", "a test", forced=forced)
            stop_selected(self.store, wish, datetime.now(UTC), looked_at=preview_stop(self.store, wish).ids)

    async def _let_some_go_on(self) -> None:
        everybody = Selection(pods=("pod",))
        await asyncio.to_thread(take_back_selected, self.store, everybody, "soak", "a test", datetime.now(UTC))

    async def _outage(self) -> None:
        """The API server dies, and comes back after a while."""
        self.outages += 1
        self.airflow.kill("api-server")
        await asyncio.sleep(self.rng.uniform(1, 15))
        await asyncio.to_thread(self.airflow.restart, "api-server")

    # The end.

    async def _until_quiet(self) -> None:
        end = time.monotonic() + QUIET_WITHIN.total_seconds()
        while time.monotonic() < end:
            self.fleet.boot()
            if await asyncio.to_thread(self._is_quiet):
                return
            await asyncio.to_thread(self._stop_what_is_really_lost)
            await asyncio.sleep(1)
        say("it did not become quiet")
        for item in await asyncio.to_thread(self.world.instances):
            if item.holds_a_place:
                say(f"{'died' if item.cloud_id in self.fleet.dead else 'alive'}: {item}")

    def _stop_what_is_really_lost(self) -> None:
        """What alerts ask a person to do: so many may have died together that none of them is given up without one."""
        with self.store.read() as session:
            asked = {alert.kind for alert in alerts.open_alerts(session)}
        if asked & {AlertKind.MASS_SILENCE, AlertKind.MASS_ABSENCE}:
            lost = [
                item.id for item in self.world.instances() if item.holds_a_place and item.cloud_id in self.fleet.dead
            ]
            self._stop_these(lost, forced=True)

    def _is_quiet(self) -> bool:
        with self.store.read() as session:
            jobs = queue.counts(session)
        open_jobs = jobs.get(JobStatus.WAITING, 0) + jobs.get(JobStatus.RUNNING, 0)
        return not open_jobs and not self.cloud.machines() and not self._rows_left()

    def _rows_left(self) -> int:
        return sum(item.holds_a_place for item in self.world.instances())

    def _counted(self) -> dict[str, int]:
        with self.store.read() as session:
            done = session.scalars(select(func.count()).where(JobRow.status == JobStatus.DONE)).one()
        tally = self.fleet.tally
        say(f"{self.outages} outages, duplicates answered {dict(tally.duplicates)}, {self.cloud.ever_made()} VMs")
        self.store.close()
        return {
            "agents": self.agents,
            "jobs": self.jobs,
            "lost": self.jobs - done,
            "run_twice": sum(len(leases) > 1 for leases in tally.accepted.values()),
            "leftover": len(self.cloud.machines()) + self._rows_left(),
            "duplicates_refused": sum(count for status, count in tally.duplicates.items() if 400 <= status < 500),
            "duplicates_let_in": sum(count for status, count in tally.duplicates.items() if status < 400),
            "heartbeats": tally.heartbeats,
        }


def say(text: str) -> None:
    """To people; the last line on standard output is for programs."""
    print(text, file=sys.stderr, flush=True)


def _configured(agents: int) -> tuple[Any, Any]:
    """One pod on one endpoint, impatient so that all that can happen does happen within minutes."""
    deadlines = DeadlineOverrides(
        launch=timedelta(seconds=20),
        boot=timedelta(minutes=2),
        silence=timedelta(seconds=60),
        stalled_grace=timedelta(seconds=10),
        delete=timedelta(seconds=20),
    )
    pod = a_pod(
        max_instances=agents,
        offer=Offer(cpu_time=100_000),
        halt_margin=timedelta(seconds=15),
        heartbeat_period=timedelta(seconds=HEARTBEAT),
        deadlines=deadlines,
    )
    return [pod], [an_endpoint(max_instances=agents, traits=Traits(processors=1))]
