"""A whole installation in one object: a store, clouds, a configuration, a clock, and the loops to run on them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import select, update

from tests.fakes.clock import Clock
from tests.fakes.cloud import FakeCloud
from tests.fakes.configured import a_pod, an_endpoint, an_image
from vmdirac.config.loader import Configuration
from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.user_data import UserData
from vmdirac.loops.corrections import ReconcileReport
from vmdirac.loops.deadlines import deadlines_of
from vmdirac.loops.job_sources import job_sources
from vmdirac.loops.launch import LaunchReport, launch
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.loops.read_demand import EndpointsSilentError, begin_tick, read_demand
from vmdirac.loops.reconcile import reconcile
from vmdirac.loops.sweeps import IdleReport, StalledReport, sweep_idle, sweep_stalled
from vmdirac.loops.tick import scheduler_tick
from vmdirac.model.contracts import Cloud, JobSource
from vmdirac.model.instance import Instance
from vmdirac.model.pod import Endpoint, Image, RunningPod
from vmdirac.model.requirements import Requirements
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.policy.plan import Candidate, Invalid, Order, Plan
from vmdirac.store import installation, instances, queue
from vmdirac.store.database import Store
from vmdirac.store.queue import NewJob
from vmdirac.store.tables import HistoryRow, InstallationRow, InstanceRow, JobRow

KEY = SecretKey(b"a key of the tests, of 32 bytes.")


def render(candidate: Candidate, instance_id: int) -> UserData:
    """User data that a fake VM can read."""
    return UserData(f"{instance_id} {PLACEHOLDER}")


class Installation:
    """Pods, images and endpoints on clouds of whatever kind, and one pod on one endpoint unless a test says otherwise.

    ``hearing``: the manager serves VMs since the world began.
    """

    def __init__(
        self,
        store: Store,
        pods: Iterable[RunningPod] | None = None,
        endpoints: Iterable[Endpoint] | None = None,
        images: Iterable[Image] | None = None,
        *,
        clouds: Mapping[str, Cloud],
        clock: Clock | None = None,
        hearing: bool = True,
    ) -> None:
        self.store = store
        self.clock = clock or Clock()
        self.pods = {pod.name: pod for pod in (pods if pods is not None else [a_pod()])}
        self.endpoints = {item.name: item for item in (endpoints if endpoints is not None else [an_endpoint()])}
        self.images = {image.name: image for image in (images if images is not None else [an_image()])}
        self.invalid: tuple[Invalid, ...] = ()
        self.complete = True
        self.clouds = clouds
        self.keys: tuple[SecretKey, ...] = (KEY,)
        self.rng = random.Random(7)
        self.hearing = hearing
        if hearing:
            installation.mark_hearing(store, self.clock())

    @property
    def configuration(self) -> Configuration:
        return Configuration(self.pods, self.images, self.endpoints, (), self.invalid, self.complete)

    def cloud_of(self, endpoint: Endpoint) -> Cloud:
        """The loops' cloud factory."""
        return self.clouds[endpoint.name]

    # The loops.

    def sources(self) -> dict[str, JobSource]:
        return job_sources(self.store, self.clock())

    def read_demand(self, order: Order | None = None) -> int:
        """Open a tick and read its demand; its id."""
        tick_id = begin_tick(self.store, self.clock(), order=order)
        for name, source in self.sources().items():
            # The plan goes on without endpoints that do not answer, as it does in the DAG.
            with suppress(EndpointsSilentError):
                read_demand(self.store, self.configuration, self.cloud_of, name, source, tick_id, self.clock())
        return tick_id

    def plan(self, tick_id: int | None = None) -> Plan:
        return plan_and_reserve(
            self.store,
            self.configuration,
            tick_id if tick_id is not None else self.read_demand(),
            key=self.keys[0],
            render=render,
            now=self.clock(),
            rng=self.rng,
        )

    def launch(self, endpoint: str = "alpha") -> LaunchReport:
        return launch(self.store, self.clouds[endpoint], endpoint, self.keys, self.clock)

    def tick(self) -> dict[str, LaunchReport]:
        return scheduler_tick(
            self.store,
            self.configuration,
            self.cloud_of,
            self.sources(),
            keys=self.keys,
            render=render,
            clock=self.clock,
            rng=self.rng,
        )

    def reconcile(self, endpoint: str = "alpha") -> ReconcileReport:
        cloud = self.clouds[endpoint]
        self._go_on_hearing()
        return reconcile(self.store, cloud, endpoint, deadlines_of(self.configuration), self.clock)

    def sweep_idle(self) -> IdleReport:
        self._go_on_hearing()
        return sweep_idle(self.store, self.configuration, self.clock())

    def sweep_stalled(self) -> StalledReport:
        self._go_on_hearing()
        return sweep_stalled(self.store, self.configuration, self.clock())

    def _go_on_hearing(self) -> None:
        """As if the manager had been marking all the time that a test lets pass at once."""
        if self.hearing:
            with self.store.write() as session:
                session.execute(update(InstallationRow).values(served_at=self.clock()))

    # What is in the store.

    def submit(self, number: int = 1, *, priority: float = 0.0, max_attempts: int = 3, **needs: Any) -> list[int]:
        job = NewJob(
            "job",
            ("true",),
            Requirements(**{"cpu_time": 1000, **needs}),
            priority=priority,
            max_attempts=max_attempts,
        )
        with self.store.write() as session:
            return queue.submit(session, [job] * number, self.clock())

    def instances(self, *statuses: InstanceStatus) -> list[Instance]:
        """All instances, or those in one of these states, by id."""
        with self.store.read() as session:
            ids = session.scalars(select(InstanceRow.id).order_by(InstanceRow.id)).all()
            found = [instances.get(session, id_) for id_ in ids]
        return [item for item in found if item is not None and (not statuses or item.status in statuses)]

    def instance(self) -> Instance:
        """The only instance."""
        (found,) = self.instances()
        return found

    def row(self, instance_id: int) -> InstanceRow:
        with self.store.read() as session:
            return session.get_one(InstanceRow, instance_id)

    def history(self, instance_id: int) -> list[HistoryRow]:
        with self.store.read() as session:
            return instances.history(session, instance_id)

    def job(self, job_id: int) -> JobRow:
        with self.store.read() as session:
            return session.get_one(JobRow, job_id)

    def job_counts(self) -> dict[JobStatus, int]:
        with self.store.read() as session:
            return queue.counts(session)


class World(Installation):
    """An installation on clouds in memory."""

    clouds: dict[str, FakeCloud]

    def __init__(
        self,
        store: Store,
        pods: Iterable[RunningPod] | None = None,
        endpoints: Iterable[Endpoint] | None = None,
        images: Iterable[Image] | None = None,
        *,
        clouds: dict[str, FakeCloud] | None = None,
        clock: Clock | None = None,
        hearing: bool = True,
    ) -> None:
        clock, wanted = clock or Clock(), [an_endpoint()] if endpoints is None else list(endpoints)
        clouds = clouds or {item.name: FakeCloud(clock) for item in wanted}
        super().__init__(store, pods, wanted, images, clouds=clouds, clock=clock, hearing=hearing)

    @property
    def cloud(self) -> FakeCloud:
        """The only cloud."""
        (cloud,) = self.clouds.values()
        return cloud
