"""The scheduler's loop: how much work waits → how many VMs of what where → start them."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from vmdirac.config.settings import scheduler_interval
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS
from vmdirac.operators.scheduler import (
    VmdiracLaunchReservedOperator,
    VmdiracPlanOperator,
    VmdiracReadDemandOperator,
)

with DAG(
    "vmdirac_scheduler",
    description="Starts VMs for the jobs that wait",
    doc_md=__doc__,
    schedule=timedelta(seconds=scheduler_interval()),
    **LOOP_ARGUMENTS,
):
    read_demand = VmdiracReadDemandOperator(task_id="read_demand", **FIRST_TASK)
    plan = VmdiracPlanOperator(task_id="plan", tick_id=read_demand.output)
    VmdiracLaunchReservedOperator.partial(task_id="launch", map_index_template="{{ task.endpoint }}").expand(
        endpoint=plan.output
    )
