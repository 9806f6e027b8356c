"""The tasks of the sweeps.

What they do is imported where they do it: this module is loaded each time that a DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context


class VmdiracEndpointsOperator(BaseOperator):
    """Returns the endpoints to be reconciled: those that pods name and those that still have VMs."""

    def execute(self, context: Context) -> list[str]:
        from vmdirac.operators.runtime import open_runtime

        with open_runtime() as runtime:
            return runtime.endpoints()


class DeletesFailedError(Exception):
    """Some deletes failed. They are recorded and will be asked for again; this makes the task red."""


class OrphansAlarmError(Exception):
    """So many VMs are unknown that none of them was deleted; this makes the task red."""


class VmdiracReconcileOperator(BaseOperator):
    """Reconciles one endpoint: lists its cloud, corrects the rows, deletes what is to go.

    :param endpoint: connection id of the endpoint.
    """

    template_fields: Sequence[str] = ("endpoint",)

    def __init__(self, *, endpoint: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint

    def execute(self, context: Context) -> None:
        from vmdirac.loops.account_limits import kinds_on, read_account_limits
        from vmdirac.loops.deadlines import deadlines_of
        from vmdirac.loops.reconcile import reconcile
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            cloud = runtime.cloud(self.endpoint)
            deadlines = deadlines_of(runtime.configuration)
            report = reconcile(runtime.store, cloud, self.endpoint, deadlines, utc_now)
            kinds = kinds_on(runtime.configuration, self.endpoint)
            read_account_limits(runtime.store, cloud, self.endpoint, kinds, utc_now)
        if report.alarm:
            raise OrphansAlarmError(
                f"{self.endpoint}: {report.unknown} of {report.listed} VMs carry our tag and are unknown, which is too"
                " many to delete them: the page and `vmdirac alerts` say what to do"
            )
        if report.delete_failed:
            raise DeletesFailedError(
                f"{self.endpoint}: {report.delete_failed} VMs could not be deleted; they will be asked for again"
            )


class VmdiracSweepIdleOperator(BaseOperator):
    """Asks idle VMs to drain."""

    def execute(self, context: Context) -> None:
        from vmdirac.loops.sweeps import sweep_idle
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            sweep_idle(runtime.store, runtime.configuration, utc_now())


class VmdiracSweepStalledOperator(BaseOperator):
    """Marks silent VMs, gives up those beyond their grace, takes back jobs that nobody renews."""

    def execute(self, context: Context) -> None:
        from vmdirac.loops.sweeps import sweep_stalled
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            sweep_stalled(runtime.store, runtime.configuration, utc_now())
