"""Marks silent VMs as Stalled, gives up those beyond their grace, takes back jobs whose leases ran out."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from vmdirac.config.settings import sweep_interval
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS
from vmdirac.operators.sweeps import VmdiracSweepStalledOperator

with DAG(
    "vmdirac_sweep_stalled",
    description="Looks for silent VMs",
    doc_md=__doc__,
    schedule=timedelta(seconds=sweep_interval()),
    **LOOP_ARGUMENTS,
):
    VmdiracSweepStalledOperator(task_id="mark_silent", **FIRST_TASK)
