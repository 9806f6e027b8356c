"""``vmdirac clean-runs``: Airflow's own clean-up, of the runs of our DAGs alone.

Airflow lets no task at its database, so no DAG can do it: it is a command, for cron say.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Final

from vmdirac.store.database import Store

OUR_DAGS: Final = (
    "vmdirac_contextualization",
    "vmdirac_housekeeping",
    "vmdirac_scheduler",
    "vmdirac_stop",
    "vmdirac_sweep_idle",
    "vmdirac_sweep_reconcile",
    "vmdirac_sweep_stalled",
    "vmdirac_watch",
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``clean-runs``."""
    parser = commands.add_parser(
        "clean-runs", help="delete old runs of vmdirac's DAGs from Airflow's database, by `airflow db clean`"
    )
    parser.add_argument("--days", type=_days, default=30, help="those that started so many days ago (30)")
    parser.add_argument("--yes", action="store_true", help="do it; without, only say what it would do")
    parser.set_defaults(run=clean_runs)


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36500:
        raise argparse.ArgumentTypeError("it must be from 1 to 36500")
    return days


def clean_runs(_store: Store, arguments: argparse.Namespace) -> int:
    """Run it; its exit status."""
    command = airflow_command(datetime.now(UTC) - timedelta(days=arguments.days), really=arguments.yes)
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own interpreter


def airflow_command(before: datetime, *, really: bool) -> list[str]:
    """The command of Airflow: this table, and those that depend on it, are all by DAG.

    That a table fails is only said by Airflow then, and `--error-on-cleanup-failure` is of no use: 3.3.2 looks in the
    table `deadline` for a column that it does not have (apache/airflow#69030), and always fails there.
    """
    return [
        *(sys.executable, "-m", "airflow", "db", "clean"),
        *("--clean-before-timestamp", before.isoformat()),
        *("--tables", "dag_run", "--dag-ids", ",".join(OUR_DAGS)),
        *("--skip-archive", "--batch-size", "1000"),
        *(["--yes"] if really else ["--dry-run"]),
    ]
