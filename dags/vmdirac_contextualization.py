"""Contextualizes VMs whose image has no cloud-init: logs in to them over ssh, and runs there what makes them ours."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from vmdirac.config.settings import sweep_interval
from vmdirac.operators.contextualization import VmdiracContextEndpointsOperator, VmdiracContextualizeOperator
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS

with DAG(
    "vmdirac_contextualization",
    description="Contextualizes VMs over ssh",
    doc_md=__doc__,
    schedule=timedelta(seconds=sweep_interval()),
    **LOOP_ARGUMENTS,
):
    endpoints = VmdiracContextEndpointsOperator(task_id="endpoints", **FIRST_TASK)
    VmdiracContextualizeOperator.partial(task_id="contextualize", map_index_template="{{ task.endpoint }}").expand(
        endpoint=endpoints.output
    )
