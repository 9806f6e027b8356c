"""DAGs of the test of the operators: a copy of this file is the DAGs folder of its Airflow."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from vmdirac.operators.instances import VmdiracLaunchOperator, VmdiracTerminateOperator

STAYS = "#!/bin/sh\nexec sleep 3600\n"


class KilledOnceLaunchOperator(VmdiracLaunchOperator):
    """In its first try its process is killed as soon as the cloud has made the VMs, and before that is noted."""

    def execute(self, context: Any) -> Any:
        from vmdirac.hooks.local_cloud import VmdiracLocalHook

        if context["ti"].try_number == 1:
            launch = VmdiracLocalHook.launch

            def launch_and_die(hook: VmdiracLocalHook, requests: Any) -> Any:
                launch(hook, requests)
                os.kill(os.getpid(), signal.SIGKILL)

            VmdiracLocalHook.launch = launch_and_die  # type: ignore[assignment, method-assign]
        return super().execute(context)


SMALL: dict[str, Any] = {"boot_image": "host", "flavor": "small", "user_data": STAYS, "poll_interval": 1}

with DAG("killed_once", schedule=None):
    KilledOnceLaunchOperator(
        task_id="start", endpoint="good", retries=1, retry_delay=timedelta(seconds=1), count=2, **SMALL
    )

with DAG("waits", schedule=None):
    VmdiracLaunchOperator(task_id="start", endpoint="hanging", **SMALL)

with DAG("waits_deferred", schedule=None):
    VmdiracLaunchOperator(task_id="start", endpoint="hanging", deferrable=True, **SMALL)

with DAG("work_fails", schedule=None):
    start = VmdiracLaunchOperator(task_id="start", endpoint="good", wait_until_running=False, **SMALL)

    @task
    def work(_: Any) -> None:
        raise ValueError("the work failed")

    end = VmdiracTerminateOperator(task_id="end", instance_ids=start.output)
    work(start.output) >> end.as_teardown()

with DAG("killed_for_good", schedule=None):
    killed = KilledOnceLaunchOperator(task_id="start", endpoint="good", retries=0, **SMALL)
    killed >> VmdiracTerminateOperator(task_id="end", instance_ids=killed.output).as_teardown()
