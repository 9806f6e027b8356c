"""The tasks that contextualize VMs over ssh.

What they do is imported where they do it: this module is loaded each time that a DAG file is parsed, by every task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context


class VmdiracContextEndpointsOperator(BaseOperator):
    """Returns the endpoints with VMs that are being contextualized over ssh."""

    def execute(self, context: Context) -> list[str]:
        from vmdirac.store import ssh_contexts
        from vmdirac.store.database import Store

        store = Store.from_config()
        try:
            with store.read() as session:
                return ssh_contexts.endpoints_with_work(session)
        finally:
            store.close()


class ContextFailedError(Exception):
    """Some VMs were given up, or a key cannot be used. The others were looked after; this makes the task red."""


class VmdiracContextualizeOperator(BaseOperator):
    """Visits the VMs of one endpoint that are contextualized over ssh.

    :param endpoint: connection id of the endpoint.
    """

    template_fields: Sequence[str] = ("endpoint",)

    def __init__(self, *, endpoint: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.endpoint = endpoint

    def execute(self, context: Context) -> None:
        from vmdirac.config.settings import secret_keys
        from vmdirac.loops.contextualize import contextualize
        from vmdirac.loops.contextualize_visit import Visitor
        from vmdirac.loops.deadlines import deadlines_of
        from vmdirac.operators.runtime import open_runtime, utc_now

        with open_runtime() as runtime:
            visitor = Visitor(runtime.store, runtime.cloud(self.endpoint), secret_keys(), utc_now)
            deadlines = deadlines_of(runtime.configuration)
            report = contextualize(runtime.store, self.endpoint, deadlines, visitor, utc_now)
        failures = [*report.unusable.values()]
        if report.given_up:
            failures.append(f"{report.given_up} VMs were given up: the page and `vmdirac why instance` say why")
        if failures:
            raise ContextFailedError(f"{self.endpoint}: {'; '.join(failures)}")
