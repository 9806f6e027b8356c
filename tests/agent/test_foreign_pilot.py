"""Another pilot's jobs are counted, and it is kept from taking more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmdirac.agent.foreign_pilot import MARK, SETTLING, ForeignPilot, count_jobs
from vmdirac.agent.log import Log
from vmdirac.agent.pilot_place import PilotPlace


@pytest.fixture
def said() -> list[bytes]:
    return []


def a_pilot(tmp_path: Path, said: list[bytes], location: str, stop_file: str) -> ForeignPilot:
    return ForeignPilot(PilotPlace(str(tmp_path / "place")), location, stop_file, Log(said.append))


@pytest.fixture
def pilot(tmp_path: Path, said: list[bytes]) -> ForeignPilot:
    return a_pilot(tmp_path, said, str(tmp_path / "scratch"), str(tmp_path / "control" / "stop_agent"))


@pytest.fixture
def side(tmp_path: Path) -> Iterator[PilotPlace]:
    """The side of the pod's pilot, which waits."""
    place = PilotPlace(str(tmp_path / "place"))
    lock = place.enter()
    yield place
    os.close(lock)


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
    pilot.let_work(None)
    assert not stop_file.exists()
    pilot.let_work(None)


def test_a_stop_file_of_somebody_else_stays(pilot: ForeignPilot, tmp_path: Path) -> None:
    stop_file = tmp_path / "control" / "stop_agent"
    stop_file.parent.mkdir()
    stop_file.write_text("by the admin")
    pilot.keep_from_jobs(0.0)
    pilot.let_work(None)
    assert stop_file.read_text() == "by the admin"


def test_it_may_be_about_to_take_a_job_until_it_has_seen_the_file(pilot: ForeignPilot) -> None:
    assert not pilot.settled(1e9)
    pilot.keep_from_jobs(100.0)
    pilot.keep_from_jobs(150.0)
    assert not pilot.settled(100.0 + SETTLING - 0.1)
    assert pilot.settled(100.0 + SETTLING)
    pilot.let_work(None)
    assert not pilot.settled(1e9)


def test_a_stop_file_that_cannot_be_written_stops_nobody(tmp_path: Path, said: list[bytes]) -> None:
    (tmp_path / "file").touch()
    pilot = a_pilot(tmp_path, said, str(tmp_path), str(tmp_path / "file" / "stop"))
    pilot.keep_from_jobs(0.0)
    assert not pilot.settled(1e9)
    assert b"cannot be written" in said[-1]


def test_where_there_is_none_nobody_takes_jobs(tmp_path: Path, said: list[bytes]) -> None:
    pilot = a_pilot(tmp_path, said, "", "")
    assert (pilot.jobs(), pilot.here(), pilot.takes_all_jobs) == (0, False, False)
    pilot.keep_from_jobs(0.0)
    assert pilot.settled(0.0)


def test_without_a_stop_file_whose_jobs_are_elsewhere_may_always_take_one(tmp_path: Path, said: list[bytes]) -> None:
    pilot = a_pilot(tmp_path, said, str(tmp_path / "scratch"), "")
    pilot.keep_from_jobs(0.0)
    assert not pilot.settled(1e9)


class TestThePodsPilot:
    def test_it_is_one_job_as_long_as_it_lives(self, tmp_path: Path, said: list[bytes]) -> None:
        pilot, place = a_pilot(tmp_path, said, "", ""), PilotPlace(str(tmp_path / "place"))
        lock = place.enter()
        assert (pilot.jobs(), pilot.here()) == (0, True)
        pilot.let_work(None)
        assert pilot.jobs() == 0, "it has not what it needs"
        pilot.let_work({"A": "b"})
        assert pilot.jobs() == 1, "it may begin at any moment"
        assert place.begin() == {"A": "b"}
        assert pilot.jobs() == 1
        os.close(lock)
        assert pilot.jobs() == 0

    def test_while_it_cannot_be_seen_it_works(
        self, tmp_path: Path, said: list[bytes], side: PilotPlace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pilot = a_pilot(tmp_path, said, "", "")
        side.let_begin({})

        def refused(*_: object) -> int:
            raise OSError("out of files")

        monkeypatch.setattr(os, "open", refused)
        assert pilot.jobs() == 1
        pilot.keep_from_jobs(0.0)
        monkeypatch.undo()
        assert b"cannot be counted" in said[0]

    def test_one_that_has_not_begun_is_held_back(self, tmp_path: Path, said: list[bytes], side: PilotPlace) -> None:
        pilot = a_pilot(tmp_path, said, "", "")
        pilot.let_work({})
        assert not pilot.settled(0.0)
        pilot.keep_from_jobs(0.0)
        assert pilot.settled(0.0)
        assert side.begin() is None
        pilot.let_work({})
        assert not pilot.settled(1e9)
        assert side.begin() == {}

    def test_without_a_stop_file_its_end_is_waited_for(self, tmp_path: Path, said: list[bytes]) -> None:
        pilot, place = a_pilot(tmp_path, said, "", ""), PilotPlace(str(tmp_path / "place"))
        lock = place.enter()
        pilot.let_work({})
        place.begin()
        pilot.keep_from_jobs(0.0)
        assert not pilot.settled(1e9)
        os.close(lock)
        assert pilot.settled(0.0)

    def test_with_a_stop_file_it_takes_no_jobs_but_may_still_have_one(
        self, tmp_path: Path, said: list[bytes], side: PilotPlace
    ) -> None:
        pilot = a_pilot(tmp_path, said, "", str(tmp_path / "stop"))
        pilot.let_work({})
        side.begin()
        pilot.keep_from_jobs(0.0)
        assert (tmp_path / "stop").exists()
        assert not pilot.settled(SETTLING - 0.1)
        assert pilot.settled(SETTLING)
        assert pilot.jobs() == 1
