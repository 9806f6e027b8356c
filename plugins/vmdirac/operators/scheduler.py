"""The tasks of the scheduler's tick.

What they do is imported where they do it: this module is loaded each time that the DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context


class VmdiracReadDemandOperator(BaseOperator):
    """Opens a tick with the demand of the job source; returns the tick's id."""

    def execute(self, context: Context) -> int:
        from vmdirac.loops.read_demand import read_demand
        from vmdirac.operators.runtime import open_runtime, utc_now
        from vmdirac.store.queue import EmbeddedJobSource

        with open_runtime() as runtime:
            now = utc_now()
            source = EmbeddedJobSource(runtime.store, now)
            run_id = str(context["run_id"])
            return read_demand(runtime.store, runtime.configuration, runtime.clouds, source, now, run_id)


class VmdiracPlanOperator(BaseOperator):
    """Plans a tick and reserves its VMs; returns the endpoints that have something to launch.

    :param tick_id: the tick that :class:`VmdiracReadDemandOperator` opened.
    """

    template_fields: Sequence[str] = ("tick_id",)

    def __init__(self, *, tick_id: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tick_id = tick_id

    def execute(self, context: Context) -> list[str]:
        from vmdirac.config.settings import secret_keys, templates_folder, vm_url
        from vmdirac.loops.plan_and_reserve import plan_and_reserve
        from vmdirac.loops.tick import user_data_renderer
        from vmdirac.operators.runtime import open_runtime, utc_now
        from vmdirac.store import instances

        with open_runtime() as runtime:
            plan_and_reserve(
                runtime.store,
                runtime.configuration,
                int(self.tick_id),
                key=secret_keys()[0],
                render=user_data_renderer(runtime.configuration, templates_folder(), vm_url()),
                now=utc_now(),
                rng=runtime.rng,
            )
            with runtime.store.read() as session:
                return instances.endpoints_due_for_launch(session)


class LaunchesFailedError(Exception):
    """Some launches failed. They are recorded and will be decided again; this makes the task red."""


class VmdiracLaunchReservedOperator(BaseOperator):
    """Launches what the plan has reserved on one endpoint. If a launch failed, the task fails after all were tried.

    :param endpoint: connection id of the endpoint.
    """

    template_fields: Sequence[str] = ("endpoint",)

    def __init__(self, *, endpoint: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint

    def execute(self, context: Context) -> None:
        from vmdirac.config.settings import secret_keys
        from vmdirac.loops.launch import launch
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            cloud = runtime.cloud(self.endpoint)
            report = launch(runtime.store, cloud, self.endpoint, secret_keys(), utc_now)
        if report.refused or report.unknown:
            raise LaunchesFailedError(
                f"{self.endpoint}: {report.launched} VMs were launched, {report.refused} refused,"
                f" {report.unknown} got no answer; the log above says why"
            )
