"""The command line as a whole: its version, wrong usage, a database that is not there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmdirac import __version__
from vmdirac.cli import main


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["jobs"],
        ["jobs", "fly"],
        ["jobs", "submit"],
        ["jobs", "list", "--status", "asleep"],
        ["jobs", "list", "--limit", "0"],
        ["jobs", "list", "--limit", "many"],
        ["jobs", "show"],
        ["jobs", "show", "-1"],
        ["jobs", "show", "one"],
        ["jobs", "cancel"],
        ["jobs", "cancel", "1", "x"],
        ["validate", "now"],
    ],
)
def test_wrong_usage_is_told(arguments: list[str], database: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: vmdirac" in capsys.readouterr().err
    assert not Path(database.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(
    "arguments", [["jobs", "list"], ["jobs", "show", "1"], ["jobs", "cancel", "1"]], ids=lambda words: words[1]
)
def test_without_tables_there_is_a_way_out(
    arguments: list[str], database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: the database cannot be used (OperationalError: no such table")
    assert "has `airflow db migrate` been run" in told.err


@pytest.mark.parametrize(
    "url",
    [
        "no URL at all hunter2",
        "oracle+nothing://user:hunter2@db/x",
        "sqlite+nothing:///x",
        "mysql+cymysql://u:hunter2@h/d",
    ],
)
def test_a_database_url_that_names_nothing_is_told_but_not_shown(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url)
    assert main(["jobs", "list"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: [vmdirac] sql_alchemy_conn names no database that can be used")
    assert "hunter2" not in told


def test_a_database_that_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}/none/vmdirac.db")
    assert main(["jobs", "list"]) == 1
    assert "unable to open database file" in capsys.readouterr().err


@pytest.mark.slow
def test_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vmdirac.cli", "--version"], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")
