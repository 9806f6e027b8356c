"""Watches the installation: keeps the alerts true, tells whoever is to be told of them, and measures the fleet.

Whom it tells is in the Variable `vmdirac_notifiers`; docs/monitoring.md says how.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from vmdirac.config.settings import sweep_interval
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS
from vmdirac.operators.watch import VmdiracWatchOperator

with DAG(
    "vmdirac_watch",
    description="Raises alerts, tells of them, measures",
    doc_md=__doc__,
    schedule=timedelta(seconds=sweep_interval()),
    **LOOP_ARGUMENTS,
):
    VmdiracWatchOperator(task_id="watch", **FIRST_TASK)
