"""What all loops have in common, for their DAG files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

LOOP_ARGUMENTS: Final[dict[str, Any]] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    # A pass that takes long delays the next one; two at once would only wait for each other's locks.
    "max_active_runs": 1,
    "dagrun_timeout": timedelta(minutes=15),
    "is_paused_upon_creation": False,
    "tags": ["vmdirac"],
    "default_args": {"retries": 0, "execution_timeout": timedelta(minutes=10)},
}
"""Arguments of a loop's DAG. No task is retried: the next run is the retry."""

FIRST_TASK: Final[dict[str, Any]] = {"retries": 1, "retry_delay": timedelta(seconds=2)}
"""Arguments of a loop's first task: right after Airflow has started its first request may take too long."""
