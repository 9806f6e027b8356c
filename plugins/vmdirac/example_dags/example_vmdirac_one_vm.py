"""One VM for one step: start it, work on it, end it whatever has become of the work.

The endpoint is the parameter **endpoint**. On the local cloud (`docs/local-cloud.md`) it can be tried as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, task

from vmdirac.operators.instances import VmdiracLaunchOperator, VmdiracTerminateOperator

with DAG(
    "example_vmdirac_one_vm",
    description="One VM for one step",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    params={
        "endpoint": Param("local", type="string", description="Connection id of an endpoint."),
        "boot_image": Param("host", type="string"),
        "flavor": Param("small", type="string"),
    },
    tags=["example", "vmdirac"],
):
    # [START howto_operator_vmdirac_launch]
    start = VmdiracLaunchOperator(
        task_id="start",
        endpoint="{{ params.endpoint }}",
        boot_image="{{ params.boot_image }}",
        flavor="{{ params.flavor }}",
        name="example",
        user_data="#!/bin/sh\n# for {{ run_id }}\nexec sleep 3600\n",
        # Should everything else fail, it ends by then.
        max_lifetime=timedelta(hours=2),
        retries=2,
        retry_delay=timedelta(seconds=30),
        execution_timeout=timedelta(minutes=30),
    )
    # [END howto_operator_vmdirac_launch]

    @task
    def work(instance_ids: Any) -> str:
        """What the VM is for."""
        return f"done on {instance_ids}"

    # [START howto_operator_vmdirac_terminate]
    end = VmdiracTerminateOperator(task_id="end", instance_ids=start.output, retries=2)
    # A teardown runs whatever has become of the work, which makes the run red all the same if it failed. It is not one
    # of `start`, or it would not run where that was killed and left a VM.
    work(start.output) >> end.as_teardown()
    # [END howto_operator_vmdirac_terminate]
