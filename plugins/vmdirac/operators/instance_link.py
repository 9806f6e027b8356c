"""The link from a task to the page of its VM."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from vmdirac.operators.instance_ids import as_ids

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class VmdiracInstanceLink(BaseOperatorLink):
    """To the first of the task's instances; the page leads to those that were started with it.

    Airflow asks for it in the task's process, when the task ends or is deferred.
    """

    name = "VM"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        try:
            ids = as_ids(getattr(operator, "instance_ids", None))
        except ValueError:
            ids = []  # the task has failed because of them already
        if not ids:
            return ""
        base = conf.get("api", "base_url", fallback="") or ""
        return f"{base.rstrip('/')}/plugin/vmdirac?{urlencode({'instance': ids[0]})}"
