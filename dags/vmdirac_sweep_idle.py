"""Asks VMs to drain that have had nothing to do for their pod's margin."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from vmdirac.config.settings import sweep_interval
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS
from vmdirac.operators.sweeps import VmdiracSweepIdleOperator

with DAG(
    "vmdirac_sweep_idle",
    description="Drains idle VMs",
    doc_md=__doc__,
    schedule=timedelta(seconds=sweep_interval()),
    **LOOP_ARGUMENTS,
):
    VmdiracSweepIdleOperator(task_id="drain_idle", **FIRST_TASK)
