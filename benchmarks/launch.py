"""Launching VMs as the scheduler's task does, beside a bare loop over the cloud's SDK on the same server.

Both send the same requests, as many at the same time. Rounds of the one and of the other alternate, so that whatever
else the machine does hits both.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

from benchmarks.launch_ec2 import Ec2Target
from benchmarks.launch_openstack import RUNNING, OpenstackTarget
from benchmarks.measurement import Measurement
from tests.servers.ec2 import Ec2Server
from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.loops.launch import LaunchReport, launch
from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.contracts import Cloud
from vmdirac.model.requirements import Offer
from vmdirac.model.states import InstanceStatus
from vmdirac.store import instances, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, DecisionRow, InstanceRow

WARM_UP = 2
TARGET_RATIO = 1.1
KEY = SecretKey(b"a key of the benchmarks, 32 bytes")
USER_DATA = f"#!/bin/sh\n# {PLACEHOLDER}\n" + "# about as long as what the agent is started with\n" * 32
ENDPOINT = "endpoint"

T = TypeVar("T")
Loop = Callable[[list[LaunchRequest]], int]
"""Launches these and says how many VMs were made."""

_numbers = itertools.count(1)


class Target(Protocol):
    """A cloud's server, and both ways to it. Each time as in a new task: no connection is there yet."""

    name: str
    vms: int
    rounds: int
    boot_image: str
    flavor: str

    def hook(self) -> Cloud:
        """The cloud as the loops have it, after a first call."""

    def sdk(self) -> Loop:
        """The bare loop, after a first call."""

    def empty(self) -> None:
        """Make the server what it was at first."""


def now() -> datetime:
    return datetime.now(UTC)


def reserved(store: Store, target: Target, vms: int) -> None:
    """What a plan leaves for the task: a tick, a decision and a row for each VM."""
    with store.write() as session:
        tick = ticks.begin(session, now())
        counted = ("jobs", "waiting_cpu", "active", "in_flight", "warranted", "planned")
        session.add(DecisionRow(tick_id=tick, pod="pod", endpoint=ENDPOINT, reasons=[], **dict.fromkeys(counted, vms)))
        instances.add(session, [_row(target, tick) for _ in range(vms)], "reserved by a benchmark")


def _row(target: Target, tick: int) -> InstanceRow:
    request, created = new_request(target), now()
    return InstanceRow(
        pod="pod",
        image="image",
        endpoint=ENDPOINT,
        name=request.name,
        launch_token=request.token,
        tick_id=tick,
        status=InstanceStatus.NEW,
        created_at=created,
        status_since=created,
        changed_at=created,
        request={
            "name": request.name,
            "boot_image": request.boot_image,
            "flavor": request.flavor,
            "user_data": request.user_data,
        },
        offer=asdict(Offer(cpu_time=86_400)),
        processors=1,
        memory_mb=0,
        heartbeat_period=60.0,
        secret_key_id=KEY.key_id,
        bootstrap_hash="0" * 64,
    )


def new_request(target: Target) -> LaunchRequest:
    token = f"{os.getpid():08x}-{next(_numbers):08x}"
    return LaunchRequest(token, f"bench-{token}", target.boot_image, target.flavor, USER_DATA)


@dataclass
class Times:
    """Seconds of each round.

    :param connected: until the first call was answered.
    """

    connected: list[float] = field(default_factory=list)
    launched: list[float] = field(default_factory=list)


def by_the_task(store: Store, target: Target, vms: int, times: Times) -> None:
    """Launch so many VMs as the task's body does."""
    reserved(store, target, vms)
    hook = _timed(times.connected, target.hook)
    report = _timed(times.launched, lambda: launch(store, hook, ENDPOINT, [KEY], now))
    _check(report == LaunchReport(launched=vms))


def by_the_sdk(target: Target, vms: int, times: Times) -> None:
    """Launch as many by the SDK alone."""
    requests = [new_request(target) for _ in range(vms)]
    loop = _timed(times.connected, target.sdk)
    _check(_timed(times.launched, lambda: loop(requests)) == vms)


def _timed(times: list[float], deed: Callable[[], T]) -> T:
    before = time.perf_counter()
    done = deed()
    times.append(time.perf_counter() - before)
    return done


def _check(complete: bool) -> None:
    if not complete:
        raise RuntimeError("not every VM was launched: the times are worth nothing")


def compared(target: Target, folder: Path) -> Iterator[Measurement]:
    """Both ways, in turn; of each its fastest round, which others disturbed least."""
    store = Store(f"sqlite:///{folder / target.name}.db")
    Base.metadata.create_all(store.engine)
    for _ in range(2):
        by_the_task(store, target, WARM_UP, Times())
        by_the_sdk(target, WARM_UP, Times())
    ours, bare = Times(), Times()
    for _ in range(target.rounds):
        target.empty()
        by_the_task(store, target, target.vms, ours)
        target.empty()
        by_the_sdk(target, target.vms, bare)
    target.empty()
    store.close()
    parameters: dict[str, float | str] = {"vms": target.vms, "rounds": target.rounds, "database": "sqlite"}
    for name, mine, theirs in (
        (f"launch_{target.vms}_{target.name}", min(ours.launched), min(bare.launched)),
        (f"launch_connect_{target.name}", min(ours.connected), min(bare.connected)),
    ):
        against = f"bare SDK: {theirs:.3f} s" + (f", target {TARGET_RATIO}" if "connect" not in name else "")
        yield Measurement(name, mine, "s", against, mine / theirs, {**parameters, "bare_seconds": round(theirs, 4)})


def measure() -> Iterator[Measurement]:
    """EC2 on the tests' server; OpenStack where one is running."""
    with tempfile.TemporaryDirectory(prefix="vmdirac-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        if Ec2Server.unavailable() is None:
            yield from compared(Ec2Target(stack.enter_context(Ec2Server(folder))), folder)
        if running := os.environ.get(RUNNING):
            yield from compared(stack.enter_context(OpenstackTarget(Path(running))), folder)
