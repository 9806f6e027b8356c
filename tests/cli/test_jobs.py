"""``vmdirac jobs``: the embedded queue from the command line."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from vmdirac.cli import main
from vmdirac.model.states import JobStatus
from vmdirac.store.database import Store
from vmdirac.store.tables import JobFileRow, JobRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def jobs_file(folder: Path, *names: str, **values: Any) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "jobs.json"
    job = {"requirements": {"cpu_time": 60}, "payload": {"command": ["true"]}} | values
    path.write_text(json.dumps({"jobs": [{"name": name, **job} for name in names]}))
    return path


@pytest.fixture
def three(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Store:
    """A store with the jobs 1 (waiting), 2 (cancelled) and 3 (waiting)."""
    assert main(["jobs", "submit", str(jobs_file(tmp_path / "three", "one", "two", "three"))]) == 0
    assert main(["jobs", "cancel", "2"]) == 0
    capsys.readouterr()
    return store


def status(store: Store, job: int) -> JobStatus:
    with store.read() as session:
        return session.scalars(select(JobRow.status).where(JobRow.id == job)).one()


def listed(text: str) -> list[str]:
    """The names in a list, in its order."""
    return [line.split()[-1] for line in text.splitlines()[1:]]


def test_submit(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "submit", str(jobs_file(tmp_path, "a"))]) == 0
    assert capsys.readouterr().out == "1 job submitted: 1\n"
    assert main(["jobs", "submit", str(jobs_file(tmp_path, "b", "c", "d"))]) == 0
    assert capsys.readouterr().out == "3 jobs submitted: 2 to 4\n"
    with store.read() as session:
        rows = session.execute(select(JobRow.id, JobRow.name, JobRow.status).order_by(JobRow.id)).all()
    assert [tuple(row) for row in rows] == [(n, name, "waiting") for n, name in enumerate("abcd", 1)]


def test_submit_takes_the_files_along(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"\x00\x01")
    payload = {"command": ["cat", "input"], "files": [{"path": "data", "name": "input"}], "output_files": ["out"]}
    assert main(["jobs", "submit", str(jobs_file(tmp_path, "a", payload=payload))]) == 0
    with store.read() as session:
        [file] = session.scalars(select(JobFileRow))
        assert (file.direction, file.name, file.content) == ("input", "input", b"\x00\x01")


def test_all_jobs_or_none(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = jobs_file(tmp_path, "good", "")
    assert main(["jobs", "submit", str(path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"error: {path}: jobs.1.name: String should have at least 1 character\n"
    with store.read() as session:
        assert session.scalars(select(JobRow)).all() == []


def test_a_file_that_is_not_there(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "submit", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/none: it cannot be read: No such file or directory\n"


def test_list(three: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list"]) == 0
    out = capsys.readouterr().out
    assert listed(out) == ["three", "two", "one"]
    assert " ".join(out.splitlines()[0].split()) == "job status attempts vm submitted (UTC) name"
    assert out.splitlines()[1].split()[:4] == ["3", "waiting", "0/3", "-"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--status", "waiting"], ["three", "one"]),
        (["--status", "cancelled"], ["two"]),
        (["--status", "cancelled", "--status", "waiting"], ["three", "two", "one"]),
        (["--status", "running"], []),
        (["--limit", "1"], ["three"]),
        (["--limit", "1", "--status", "cancelled"], ["two"]),
    ],
)
def test_list_some(three: Store, options: list[str], names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list", *options]) == 0
    assert listed(capsys.readouterr().out) == names


def test_show(three: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "show", "1"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["job"], shown["name"], shown["status"]) == (1, "one", "waiting")
    assert shown["requirements"]["cpu_time"] == 60
    assert (shown["command"], shown["attempts"], shown["files"]) == (["true"], [], [])


def finish(store: Store, job: int, *results: tuple[str, str, bytes]) -> None:
    with store.write() as session:
        session.execute(update(JobRow).where(JobRow.id == job).values(status=JobStatus.DONE, exit_code=0))
        session.add_all(JobFileRow(job_id=job, direction=d, name=n, content=c) for d, n, c in results)


def test_what_came_back_can_be_written_somewhere(
    three: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(three, 3, ("output", "tile.ppm", b"\x00\xff"), ("log", "log", b"well\n"), ("input", "tile.py", b"print()"))
    folder = tmp_path / "new" / "results"
    assert main(["jobs", "show", "3", "--output", str(folder)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["status"], shown["exit_code"]) == ("done", 0)
    assert sorted(shown["files"]) == ["input: tile.py", "log: log", "output: tile.ppm"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"tile.ppm": b"\x00\xff", "log": b"well\n"}


def test_a_folder_that_cannot_be_written(three: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(three, 3, ("log", "log", b""))
    (tmp_path / "taken").write_text("a file")
    assert main(["jobs", "show", "3", "--output", str(tmp_path / "taken")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path}/taken: it cannot be written: File exists\n"


def test_a_job_that_is_not_there(three: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "show", "9"]) == 1
    assert capsys.readouterr().err == "error: there is no job 9; `vmdirac jobs list` shows those there are\n"


def test_cancel(three: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "cancel", "3", "1"]) == 0
    assert capsys.readouterr().out == "cancelled: 1, 3\n"
    assert status(three, 1) is status(three, 3) is JobStatus.CANCELLED


def test_what_cannot_be_cancelled_is_told_and_the_rest_is(three: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "cancel", "1", "2", "9"]) == 1
    told = capsys.readouterr()
    assert told.out == "cancelled: 1\n"
    assert told.err.startswith("error: not cancelled, because they are not there or have ended: 2, 9;")
    assert status(three, 1) is JobStatus.CANCELLED
