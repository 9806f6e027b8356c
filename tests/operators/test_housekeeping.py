"""The task that keeps house, by the settings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk.observability import stats
from sqlalchemy import func, select

from tests.fakes.rows import add_instance
from tests.store.test_housekeeping import add_job
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.operators.housekeeping import VmdiracHousekeepingOperator
from vmdirac.operators.runtime import utc_now
from vmdirac.store import sizes
from vmdirac.store.database import Store
from vmdirac.store.tables import HistoryRow, InstanceRow, JobRow, TotalRow


def left(store: Store) -> tuple[int, int, int]:
    """Jobs, instances and lines of history."""
    with store.read() as session:
        jobs, vms, lines = (
            session.scalars(select(func.count()).select_from(table)).one()
            for table in (JobRow, InstanceRow, HistoryRow)
        )
    return jobs, vms, lines


def test_it_keeps_what_the_settings_say(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, float] = {}
    monkeypatch.setattr(stats, "gauge", lambda name, value, **_: told.update({name: value}))
    ended = utc_now() - timedelta(days=40)
    with store.write() as session:
        add_instance(session, InstanceStatus.HALTED, at=ended)
        add_job(session, JobStatus.DONE, finished_at=ended)
    task = VmdiracHousekeepingOperator(task_id="keep_house")
    task.execute({})
    assert left(store) == (1, 1, 0), "what has not been counted is counted first"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__INSTANCE_RETENTION_DAYS", "39")
    task.execute({})
    assert left(store) == (1, 0, 0)
    monkeypatch.setenv("AIRFLOW__VMDIRAC__JOB_RETENTION_DAYS", "39")
    task.execute({})
    assert left(store) == (0, 0, 0)
    with store.read() as session:
        assert {row.kind for row in session.scalars(select(TotalRow))} == {"job"}
    assert (told["vmdirac.rows.jobs"], told["vmdirac.rows.totals"]) == (0, 1)
    with store.read() as session:
        kept = {size.name: size.rows for size in sizes.kept(session)}
    assert (kept["vmdirac_jobs"], kept["vmdirac_totals"]) == (0, 1)
