"""Lists every cloud once and corrects the difference: adopts, confirms what is gone, deletes what is to go."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from vmdirac.config.settings import sweep_interval
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS
from vmdirac.operators.sweeps import VmdiracEndpointsOperator, VmdiracReconcileOperator

with DAG(
    "vmdirac_sweep_reconcile",
    description="Compares the clouds with our books",
    doc_md=__doc__,
    schedule=timedelta(seconds=sweep_interval()),
    **LOOP_ARGUMENTS,
):
    endpoints = VmdiracEndpointsOperator(task_id="endpoints", **FIRST_TASK)
    VmdiracReconcileOperator.partial(task_id="reconcile", map_index_template="{{ task.endpoint }}").expand(
        endpoint=endpoints.output
    )
