"""The clean-up of our DAGs' runs is Airflow's own, and takes nobody else's."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers import airflow_environment
from vmdirac import cli
from vmdirac.cli.clean_runs import OUR_DAGS, airflow_command

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def test_airflow_understands_the_command_and_takes_only_tables_by_dag() -> None:
    from airflow.cli.cli_parser import get_parser
    from airflow.utils.db_cleanup import _effective_table_names

    _, _, _, *arguments = airflow_command(BEFORE, really=True)
    parsed = get_parser().parse_args(arguments)
    assert parsed.clean_before_timestamp == BEFORE
    assert parsed.dag_ids == list(OUR_DAGS)
    assert (parsed.yes, parsed.skip_archive, parsed.dry_run) == (True, True, False)
    # Of a table without DAGs, rows of all would go, whatever DAGs are named.
    names, tables = _effective_table_names(table_names=parsed.tables)
    assert "dag_run" in names
    assert [name for name in names if tables[name].dag_id_column is None] == []


def test_without_a_yes_nothing_is_deleted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run: list[list[str]] = []

    def noting(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        run.append(command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", noting)
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path / 'vmdirac.db'}")
    assert cli.main(["clean-runs"]) == 3
    assert cli.main(["clean-runs", "--days", "7", "--yes"]) == 3
    assert [("--dry-run" in command, "--yes" in command) for command in run] == [(True, False), (False, True)]


@pytest.mark.parametrize("days", ["0", "-1", "many", "36501"])
def test_a_number_of_days_that_is_none(days: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["clean-runs", "--days", days])


RUN = """
import sys
from datetime import UTC, datetime, timedelta
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType, DagRunType

now = datetime.now(UTC)
with create_session() as session:
    session.add(DagBundleModel(name="b"))
    session.flush()
    for dag in ("vmdirac_watch", "theirs"):
        session.add(DagModel(dag_id=dag, bundle_name="b", fileloc="x.py"))
    session.flush()
    for dag in ("vmdirac_watch", "theirs"):
        for days in (60, 50, 10):
            at = now - timedelta(days=days)
            session.add(
                DagRun(
                    dag_id=dag, run_id=f"scheduled__{days}", logical_date=at, run_after=at, start_date=at,
                    run_type=DagRunType.SCHEDULED, state="success", triggered_by=DagRunTriggeredByType.TIMETABLE,
                )
            )
"""


@pytest.mark.slow
@pytest.mark.airflow
def test_it_deletes_old_runs_of_ours_and_none_of_others(tmp_path: Path) -> None:
    environment = dict(os.environ)
    airflow_environment.isolate(environment, tmp_path)

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], env=environment, cwd=tmp_path, check=True)

    def runs() -> set[tuple[str, str]]:
        with closing(sqlite3.connect(tmp_path / "airflow.db")) as airflows:
            return set(airflows.execute("SELECT dag_id, run_id FROM dag_run"))

    run("-m", "airflow", "db", "migrate")
    run("-c", RUN)
    before = runs()
    assert len(before) == 6
    run("-m", "vmdirac.cli", "clean-runs", "--days", "30")
    assert runs() == before
    run("-m", "vmdirac.cli", "clean-runs", "--days", "30", "--yes")
    assert before - runs() == {("vmdirac_watch", "scheduled__60"), ("vmdirac_watch", "scheduled__50")}
