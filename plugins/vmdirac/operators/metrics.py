"""Gauges of the fleet, through Airflow's own statistics. docs/monitoring.md lists all metrics."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk.observability import stats

from vmdirac.model.states import UNFINISHED, JobStatus
from vmdirac.store import alerts, fleet, queue, sizes
from vmdirac.store.database import Store


def measure(store: Store, now: datetime) -> None:
    """Tell how many VMs, jobs and alerts there are."""
    with store.read() as session:
        places = fleet.counts_by_place(session, now)
        jobs = queue.counts(session)
        open_alerts = len(alerts.open_alerts(session))
    for (pod, endpoint), counts in sorted(places.items()):
        for status in sorted(UNFINISHED):
            vms = counts.get(status, 0)
            stats.gauge("vmdirac.instances", vms, tags={"state": status.value, "pod": pod, "endpoint": endpoint})
            # For those whose metrics have no tags.
            stats.gauge(f"vmdirac.vms.{status.value}.{part_of_name(pod or 'tasks')}.{part_of_name(endpoint)}", vms)
    for job_status in JobStatus:
        stats.gauge(f"vmdirac.jobs.{job_status.value}", jobs.get(job_status, 0))
    stats.gauge("vmdirac.alerts", open_alerts)


def measure_tables(store: Store, now: datetime) -> None:
    """Tell how many rows each of our tables has, and keep it for the page. That takes counting them: it is for once
    in a while."""
    with store.read() as session:
        rows = sizes.counted(session)
    store.transact(lambda session: sizes.keep(session, rows, now))
    for name, count in sorted(rows.items()):
        table = name.removeprefix("vmdirac_")
        stats.gauge("vmdirac.table_rows", count, tags={"table": table})
        stats.gauge(f"vmdirac.rows.{table}", count)


def part_of_name(name: str) -> str:
    """A name as one part of a metric's name."""
    return stats.normalize_name_for_stats(name.replace(".", "__"), log_warning=False)
