"""A fleet in our database, as a community on three clouds would have it, written straight into the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from vmdirac.model.requirements import Offer, Requirements
from vmdirac.model.states import DrainPhase, InstanceStatus, JobStatus, StopReason
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow, JobRow, TaskQueueRow

SIZE = 120
COUNTS: Mapping[InstanceStatus, int] = {
    InstanceStatus.NEW: 3,
    InstanceStatus.SUBMITTED: 5,
    InstanceStatus.WAIT_SSH_CONTEXT: 2,
    InstanceStatus.CONTEXTUALIZING: 4,
    InstanceStatus.RUNNING: 61,
    InstanceStatus.STOPPING: 7,
    InstanceStatus.HALTED: 33,
    InstanceStatus.STALLED: 2,
    InstanceStatus.ERROR: 3,
}
JOBS: Mapping[JobStatus, int] = {
    JobStatus.WAITING: 215,
    JobStatus.RUNNING: 118,
    JobStatus.DONE: 64,
    JobStatus.FAILED: 3,
    JobStatus.CANCELLED: 1,
}
HOSTILE = (
    """<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"""
    """<a href="javascript:window.hacked=1">see</a>{{7*7}}"""
)
QUOTA_ERROR = "Quota exceeded for cores: requested 8, but already used 160 of 160 cores (HTTP 403, req-5ff0c1d2)"

PODS = ("lhcb-simulation", "lhcb-user", "belle2-reconstruction")
ENDPOINTS = ("cern-openstack", "lnf-opennebula", "aws-eu-west-1")
PROCESSORS = 8
NO_VM = {InstanceStatus.NEW, InstanceStatus.ERROR}
UNHEARD = set(COUNTS) - {InstanceStatus.RUNNING, InstanceStatus.STOPPING, InstanceStatus.HALTED}


def instance(number: int, status: InstanceStatus, now: datetime, **changes: Any) -> InstanceRow:
    """A row of a VM in a state: the older, the lower its `number`."""
    started = now - timedelta(minutes=3 * (SIZE - number), seconds=number)
    pod = number % len(PODS)
    in_cloud = {"cloud_id": f"{number:08x}-7c1e-4f0a-9d6b", "private_ip": f"10.4.{pod}.{number % 250 + 2}"}
    measured = {
        "heard_at": now - timedelta(seconds=number % 60),
        "jobs": number % (PROCESSORS + 1) if status is InstanceStatus.RUNNING else 0,
        "load": (number * 37 % 900) / 100,
        "uptime": (now - started).total_seconds(),
    }
    values: dict[str, Any] = {
        "pod": PODS[pod],
        "image": "cernvm5" if pod else "cernvm5-gpu",
        "endpoint": ENDPOINTS[number // 3 % len(ENDPOINTS)],
        "name": f"vmdirac-{number:08x}-7c1",
        "launch_token": f"token-{number}",
        "status": status,
        "created_at": started,
        "status_since": started,
        "changed_at": started,
        "request": {},
        "offer": asdict(Offer(cpu_time=3600)),
        "processors": PROCESSORS,
        "memory_mb": 16384,
        "heartbeat_period": 60.0,
        "secret_key_id": "0" * 16,
        "bootstrap_hash": "0" * 64,
    }
    told = (in_cloud if status not in NO_VM else {}) | (measured if status not in UNHEARD else {})
    return InstanceRow(**values | told | changes)


def fleet(now: datetime) -> list[InstanceRow]:
    """`SIZE` rows in the states of `COUNTS`, the first one Running and with a hostile name, error and cloud id."""
    spread = [status for status, count in COUNTS.items() for _ in range(count)]
    # 7 and 120 have no common divisor: all states are mixed, each comes as often as it is in COUNTS.
    statuses = [spread[(number * 7 + 14) % SIZE] for number in range(SIZE)]
    rows = [instance(number, status, now) for number, status in enumerate(statuses)]
    stops = zip(cycle(DrainPhase), cycle((StopReason.IDLE, StopReason.CAMPAIGN_ENDED, StopReason.IDLE)), strict=False)
    for row in rows:
        if row.status is InstanceStatus.STOPPING:
            row.drain_phase, row.stop_reason = next(stops)
        if row.status is InstanceStatus.ERROR:
            row.error_kind, row.error_message = "QuotaError", QUOTA_ERROR
    first = next(row for row in rows if row.status is InstanceStatus.RUNNING)
    first.name = first.error_message = first.cloud_id = HOSTILE
    return rows


def jobs(now: datetime) -> list[JobRow]:
    """Jobs of the embedded queue in the states of `JOBS`."""
    return [
        JobRow(
            task_queue_id=1,
            name=f"job-{status}-{number}",
            status=status,
            command=["true"],
            environment={},
            output_files=[],
            max_attempts=3,
            submitted_at=now,
        )
        for status, count in JOBS.items()
        for number in range(count)
    ]


def clear(store: Store) -> None:
    """Leave no instance and no job."""
    with store.write() as session:
        for table in (JobRow, TaskQueueRow, InstanceRow):
            session.query(table).delete()


def fill(store: Store, now: datetime) -> None:
    """Make the database hold `fleet` and `jobs`, and nothing else of that kind."""
    clear(store)
    needs = Requirements(cpu_time=3600)
    with store.write() as session:
        session.add(TaskQueueRow(id=1, digest=needs.digest(), requirements=asdict(needs)))
        session.flush()
        session.add_all(fleet(now))
        session.add_all(jobs(now))
