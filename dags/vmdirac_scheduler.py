"""The scheduler's loop: how much work waits → how many VMs of what where → start them.

Trigger it by hand with **pod** to plan only that one, with **vms** too to start so many of its VMs whatever the demand
is (limits count as ever), or with **dry_run** to read in the log of the task `plan` what a tick would do now.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param, XComArg

from vmdirac.config.settings import scheduler_interval
from vmdirac.operators.loop import FIRST_TASK, LOOP_ARGUMENTS
from vmdirac.operators.scheduler import (
    TICK_ID,
    VmdiracBeginTickOperator,
    VmdiracLaunchReservedOperator,
    VmdiracPlanOperator,
    VmdiracReadDemandOperator,
    VmdiracSumUpTickOperator,
)

with DAG(
    "vmdirac_scheduler",
    description="Starts VMs for the jobs that wait",
    doc_md=__doc__,
    schedule=timedelta(seconds=scheduler_interval()),
    params={
        "pod": Param(None, type=["null", "string"], title="Pod", description="Plan only this pod."),
        "vms": Param(
            None, type=["null", "integer"], minimum=1, title="VMs", description="Start so many VMs of the pod."
        ),
        "dry_run": Param(False, type="boolean", title="Dry run", description="Only say what a tick would do."),
    },
    **LOOP_ARGUMENTS,
):
    begin_tick = VmdiracBeginTickOperator(task_id="begin_tick", **FIRST_TASK)
    tick_id = XComArg(begin_tick, TICK_ID)
    read_demand = VmdiracReadDemandOperator.partial(
        task_id="read_demand", tick_id=tick_id, map_index_template="{{ task.source }}"
    ).expand(source=begin_tick.output)
    # A job source that cannot be read keeps nobody from what the others want.
    plan = VmdiracPlanOperator(task_id="plan", tick_id=tick_id, trigger_rule="all_done")
    launch = VmdiracLaunchReservedOperator.partial(task_id="launch", map_index_template="{{ task.endpoint }}").expand(
        endpoint=plan.output
    )
    sum_up = VmdiracSumUpTickOperator(task_id="sum_up", tick_id=tick_id, trigger_rule="all_done")
    begin_tick >> read_demand >> plan >> launch >> sum_up
