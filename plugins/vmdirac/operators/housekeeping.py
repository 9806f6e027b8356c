"""The task that keeps house: it counts what is new, forgets what is old, and tells how large the tables are.

What it does is imported where it does it: this module is loaded each time that a DAG file is parsed, by every task.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from airflow.sdk import BaseOperator, Context

TIME: Final = timedelta(minutes=5)
"""So long more is begun; what is left then is for the next run."""


class VmdiracHousekeepingOperator(BaseOperator):
    """Keeps house."""

    def execute(self, context: Context) -> None:
        import time

        from vmdirac.config import settings
        from vmdirac.loops.count import count
        from vmdirac.loops.housekeeping import Retention, keep_house
        from vmdirac.operators import event_metrics
        from vmdirac.operators.metrics import measure_tables
        from vmdirac.operators.runtime import utc_now
        from vmdirac.store.database import Store

        store = Store.from_config()
        end = time.monotonic() + TIME.total_seconds()
        retention = Retention(
            history=settings.history_retention(),
            instances=settings.instance_retention(),
            jobs=settings.job_retention(),
            decisions=settings.decision_retention(),
            credentials=settings.credential_audit_retention(),
            totals=settings.totals_retention(),
        )
        try:
            # What has not been counted is not deleted.
            count(store, utc_now(), event_metrics.tell)
            keep_house(
                store,
                retention,
                utc_now(),
                pause=time.sleep,
                seconds=time.monotonic,
                time_left=lambda: time.monotonic() < end,
            )
            measure_tables(store, utc_now())
        finally:
            store.close()
