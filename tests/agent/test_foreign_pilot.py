"""Another pilot's jobs are counted, and it is kept from taking more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmdirac.agent.foreign_pilot import MARK, SETTLING, ForeignPilot, count_jobs
from vmdirac.agent.log import Log


@pytest.fixture
def said() -> list[bytes]:
    return []


@pytest.fixture
def pilot(tmp_path: Path, said: list[bytes]) -> ForeignPilot:
    return ForeignPilot(str(tmp_path / "scratch"), str(tmp_path / "control" / "stop_agent"), Log(said.append))


def test_descriptions_count_here_and_one_level_below(tmp_path: Path) -> None:
    for name in ("1.jdl", "2.jdl", "jobAgent-3/3.jdl", "jobAgent-3/4.jdl", "jobAgent-3/deeper/5.jdl", "job.sh"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "again").symlink_to(tmp_path / "jobAgent-3")
    assert count_jobs(str(tmp_path)) == 4


def test_where_there_is_no_directory_there_is_no_job(tmp_path: Path) -> None:
    assert count_jobs(str(tmp_path / "none")) == 0


def test_while_jobs_cannot_be_seen_it_has_those_that_it_had(
    pilot: ForeignPilot, tmp_path: Path, said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    assert pilot.jobs() == 0
    real = os.listdir

    def refused(path: str) -> list[str]:
        raise PermissionError(path)

    monkeypatch.setattr(os, "listdir", refused)
    assert pilot.jobs() == 1
    monkeypatch.setattr(os, "listdir", real)
    for number in range(3):
        (tmp_path / "scratch" / f"{number}.jdl").touch()
    assert pilot.jobs() == 3
    monkeypatch.setattr(os, "listdir", refused)
    assert pilot.jobs() == 3
    assert b"cannot be counted" in said[-1]


def test_its_stop_file_is_made_and_taken_away(pilot: ForeignPilot, tmp_path: Path) -> None:
    stop_file = tmp_path / "control" / "stop_agent"
    pilot.keep_from_jobs(0.0)
    assert stop_file.read_text() == MARK
    stop_file.unlink()  # the pilot took notice of it, and starts again
    pilot.keep_from_jobs(1.0)
    assert stop_file.exists()
    pilot.let_work()
    assert not stop_file.exists()
    pilot.let_work()


def test_a_stop_file_of_somebody_else_stays(pilot: ForeignPilot, tmp_path: Path) -> None:
    stop_file = tmp_path / "control" / "stop_agent"
    stop_file.parent.mkdir()
    stop_file.write_text("by the admin")
    pilot.keep_from_jobs(0.0)
    pilot.let_work()
    assert stop_file.read_text() == "by the admin"


def test_it_may_be_about_to_take_a_job_until_it_has_seen_the_file(pilot: ForeignPilot) -> None:
    assert not pilot.settled(1e9)
    pilot.keep_from_jobs(100.0)
    pilot.keep_from_jobs(150.0)
    assert not pilot.settled(100.0 + SETTLING - 0.1)
    assert pilot.settled(100.0 + SETTLING)
    pilot.let_work()
    assert not pilot.settled(1e9)


def test_a_stop_file_that_cannot_be_written_stops_nobody(tmp_path: Path, said: list[bytes]) -> None:
    (tmp_path / "file").touch()
    pilot = ForeignPilot(str(tmp_path), str(tmp_path / "file" / "stop"), Log(said.append))
    pilot.keep_from_jobs(0.0)
    assert not pilot.settled(1e9)
    assert b"cannot be written" in said[-1]


def test_a_pilot_without_a_stop_file_is_only_waited_for(tmp_path: Path, said: list[bytes]) -> None:
    pilot = ForeignPilot(str(tmp_path), "", Log(said.append))
    pilot.keep_from_jobs(0.0)
    assert pilot.settled(SETTLING)
