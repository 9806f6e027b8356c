"""Keeps the database small: what has ended and is older than `[vmdirac]` says is forgotten, a little at a time; hourly
totals remain.

docs/monitoring.md says what is kept for how long. Nothing that is live, or that something live refers to, is touched.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from vmdirac.operators.housekeeping import VmdiracHousekeepingOperator
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS

with DAG(
    "vmdirac_housekeeping",
    description="Forgets what is old",
    doc_md=__doc__,
    schedule=timedelta(hours=1),
    **LOOP_ARGUMENTS,
):
    VmdiracHousekeepingOperator(task_id="keep_house", **FIRST_TASK)
