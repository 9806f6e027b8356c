"""Several VMs, waited for without holding a worker: something else is done while they boot.

The endpoint is the parameter **endpoint**, how many VMs there are is **vms**.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from vmdirac.operators.instance_sensor import VmdiracInstanceSensor
from vmdirac.operators.instances import VmdiracLaunchOperator, VmdiracTerminateOperator

with DAG(
    "example_vmdirac_sensor",
    description="Several VMs, waited for while something else is done",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "endpoint": Param("local", type="string", description="Connection id of an endpoint."),
        "vms": Param(2, type="integer", minimum=1),
    },
    tags=["example", "vmdirac"],
):
    start = VmdiracLaunchOperator(
        task_id="start",
        endpoint="{{ params.endpoint }}",
        boot_image="host",
        flavor="small",
        count="{{ params.vms }}",
        user_data="#!/bin/sh\nexec sleep 3600\n",
        max_lifetime=timedelta(hours=2),
        wait_until_running=False,
    )

    @task
    def prepare() -> None:
        """What can be done while they boot."""

    # [START howto_sensor_vmdirac_instance]
    running = VmdiracInstanceSensor(
        task_id="running", instance_ids=start.output, target="Running", deferrable=True, timeout=1800
    )
    # [END howto_sensor_vmdirac_instance]

    @task
    def work(instance_ids: Any) -> int:
        """What the VMs are for."""
        return len(instance_ids)

    end = VmdiracTerminateOperator(task_id="end", instance_ids=start.output, wait_until_halted=True, deferrable=True)
    [running, prepare()] >> work(start.output) >> end.as_teardown()
