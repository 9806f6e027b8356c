"""The clean-up of our DAGs' runs is Airflow's own, and takes nobody else's."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

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
