"""A fleet for the reconcile benchmark: rows in a database, and the cloud in memory that lists their VMs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from vmdirac.config.loader import Configuration
from vmdirac.model.cloud import (
    CloudInstance,
    CloudLimits,
    CloudState,
    LaunchOutcome,
    LaunchRequest,
    Shape,
    TerminateOutcome,
    VmKind,
)
from vmdirac.model.pod import BootSource, Endpoint, Image, RunningPod
from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import DrainPhase, InstanceStatus, StopReason
from vmdirac.store import instances, leases, queue, ticks
from vmdirac.store.database import Store
from vmdirac.store.queue import NewJob
from vmdirac.store.tables import DecisionRow, EndpointRow, InstanceRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENDPOINTS = 20
PAGE = 100
"""VMs that the clouds tell on one page."""

OFFER = Offer(cpu_time=86_400, processors=4, memory_mb=8_000, site="site", platforms=("x86_64",), tags=("cvmfs",))
USER_DATA = "#!/bin/sh\n" + "# about as long as what the agent is started with\n" * 32

ADOPTED, GONE, DRAINED, MISSED, MOVED = range(5)
EVERY = 20
"""Of so many VMs of a changing fleet one is found by its token, one is gone, one is to be deleted, one is missing for
the first time and one has another address; the others are as they were."""


@dataclass
class MemoryCloud:
    """:class:`vmdirac.model.contracts.Cloud` without any network: it counts the calls that a cloud would have got."""

    listed: Sequence[CloudInstance]
    calls: int = 0
    terminated: list[str] = field(default_factory=list)

    def instances(self) -> Iterator[CloudInstance]:
        for start in range(0, len(self.listed), PAGE):
            self.calls += 1
            yield from self.listed[start : start + PAGE]

    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        self.calls += 1
        self.terminated += cloud_ids
        return [TerminateOutcome(cloud_id) for cloud_id in cloud_ids]

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        raise NotImplementedError

    def console(self, cloud_id: str) -> str:
        self.calls += 1
        return ""

    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        self.calls += 1
        return CloudLimits()

    def shape(self, flavor: str) -> Shape:
        raise NotImplementedError

    def test_connection(self) -> tuple[bool, str]:
        raise NotImplementedError


def endpoint_names() -> list[str]:
    return [f"endpoint-{number:02}" for number in range(ENDPOINTS)]


def configuration() -> Configuration:
    """One pod that runs everywhere."""
    endpoints = {name: Endpoint(name, "local", f"site-{name}", 10**6) for name in endpoint_names()}
    images = {"image": Image("image", "cloudinit", BootSource("linux", "flavor"))}
    pods = {"pod": RunningPod("pod", "image", tuple((name, 1.0) for name in endpoints), 10**6, OFFER)}
    return Configuration(pods, images, endpoints, (), (), complete=True)


@dataclass(frozen=True)
class Fleet:
    """A store with a fleet in it, and its clouds by endpoint."""

    store: Store
    clouds: dict[str, MemoryCloud]

    @property
    def calls(self) -> int:
        return sum(cloud.calls for cloud in self.clouds.values())

    @property
    def pages(self) -> int:
        return sum(-(-len(cloud.listed) // PAGE) for cloud in self.clouds.values())


def make(store: Store, vms: int, *, changing: bool, endpoints: int = ENDPOINTS) -> Fleet:
    """So many VMs in a store that has tables and nothing in them, equally many on each endpoint, each seen by a list
    before.

    :param changing: whether the next list shows that something happened to a quarter of them.
    """
    clouds = {}
    with store.write() as session:
        tick = ticks.begin(session, NOW - timedelta(hours=2))
        for name in endpoint_names()[:endpoints]:
            session.add(EndpointRow(name=name, changed_at=NOW))
            session.add(DecisionRow(tick_id=tick, pod="pod", endpoint=name, **_NOTHING_DECIDED))
            clouds[name] = MemoryCloud(_endpoint(session, name, tick, vms // endpoints, changing=changing))
    return Fleet(store, clouds)


_NOTHING_DECIDED = {
    "jobs": 0,
    "waiting_cpu": 0,
    "active": 0,
    "in_flight": 0,
    "warranted": 0,
    "planned": 0,
    "reasons": [],
}


def _endpoint(session: Session, name: str, tick: int, vms: int, *, changing: bool) -> list[CloudInstance]:
    """The rows of one endpoint's VMs; its next list."""
    kinds = [number % EVERY if changing else EVERY for number in range(vms)]
    rows = [_row(name, tick, number, kind) for number, kind in enumerate(kinds)]
    instances.add(session, rows, "made by a benchmark")
    lost = [row for row, kind in zip(rows, kinds, strict=True) if kind == GONE]
    queue.submit(session, [NewJob("job", ("true",), Requirements(1000))] * len(lost), NOW)
    for row in lost:
        leases.match(session, row, 1, 0, 1, NOW - timedelta(minutes=30))
    return [
        _seen(row, number, kind)
        for number, (row, kind) in enumerate(zip(rows, kinds, strict=True))
        if kind not in {GONE, MISSED}
    ]


def _row(endpoint: str, tick: int, number: int, kind: int) -> InstanceRow:
    launched = NOW - timedelta(hours=1)
    special = _SPECIAL.get(kind, dict)()
    fields = {
        "pod": "pod",
        "image": "image",
        "endpoint": endpoint,
        "name": f"vmdirac-{endpoint}-{number}",
        "launch_token": f"{endpoint.removeprefix('endpoint-')}-{number:08x}",
        "tick_id": tick,
        "cloud_id": _cloud_id(number),
        "status": InstanceStatus.RUNNING,
        "created_at": launched,
        "status_since": launched,
        "changed_at": launched,
        "request": {"name": "n", "boot_image": "linux", "flavor": "small", "user_data": USER_DATA},
        "offer": asdict(OFFER),
        "processors": OFFER.processors,
        "memory_mb": OFFER.memory_mb,
        "heartbeat_period": 60.0,
        "secret_key_id": "0" * 16,
        "bootstrap_hash": "0" * 64,
        "launch_attempts": 1,
        "last_launch_at": launched,
        "registered_at": launched,
        "heard_at": NOW - timedelta(minutes=10),
        "seen_at": NOW - timedelta(minutes=5),
        "cloud_state": CloudState.RUNNING,
        "private_ip": _address(number),
    }
    return InstanceRow(**fields | special)


_SPECIAL: dict[int, Callable[[], dict[str, object]]] = {
    ADOPTED: lambda: {
        "status": InstanceStatus.NEW,
        "cloud_id": None,
        "registered_at": None,
        "heard_at": None,
        "seen_at": None,
        "cloud_state": None,
        "private_ip": "",
    },
    GONE: lambda: {"absences": 1},
    DRAINED: lambda: {
        "status": InstanceStatus.STOPPING,
        "stop_reason": StopReason.IDLE,
        "drain_phase": DrainPhase.EMPTY,
        "phase_since": NOW,
    },
}


def _cloud_id(number: int) -> str:
    return f"vm-{number:08}"


def _address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _seen(row: InstanceRow, number: int, kind: int) -> CloudInstance:
    address = f"192.168.{number >> 8 & 255}.{number & 255}" if kind == MOVED else _address(number)
    return CloudInstance(_cloud_id(number), row.launch_token, row.name, CloudState.RUNNING, NOW, "", address)
