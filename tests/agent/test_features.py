"""Machine and job features, as HSF-TN-2016-02 wants them."""

from __future__ import annotations

import stat
from pathlib import Path

from vmdirac.agent.features import job_features, machine_features, read_number, write_features


def test_a_machine() -> None:
    assert machine_features(8, None) == {"total_cpu": "8", "grace_secs": "0"}
    assert machine_features(8, 1800000000.9, 98.5, 600.0) == {
        "total_cpu": "8",
        "hs06": "98.5",
        "shutdowntime": "1800000000",
        "grace_secs": "600",
    }


def test_a_job() -> None:
    found = job_features(
        job="12",
        processors=2,
        cpu_time=3600,
        memory_mb=2000,
        started=1000.5,
        shutdown_time=5000.5,
        machine_hs06=80.0,
        machine_processors=8,
        grace_secs=60.0,
    )
    assert found == {
        "job_id": "12",
        "allocated_cpu": "2",
        "jobstart_secs": "1000",
        "cpu_limit_secs": "3600",
        "max_rss_bytes": "2097152000",
        "shutdowntime_job": "5000",
        "grace_secs_job": "60",
        "wall_limit_secs": "4000",
        "hs06_job": "20",
    }


def test_of_what_is_not_known_nothing_is_said() -> None:
    found = job_features(job="12", processors=1, cpu_time=0, memory_mb=0, started=1000.0, shutdown_time=None)
    assert found.keys() == {"job_id", "allocated_cpu", "jobstart_secs", "grace_secs_job"}


def test_a_job_that_begins_after_the_end_has_no_time() -> None:
    found = job_features(job="1", processors=1, cpu_time=0, memory_mb=0, started=1000.0, shutdown_time=900.0)
    assert found["wall_limit_secs"] == "0"


def test_each_key_is_a_file_that_all_may_read(tmp_path: Path) -> None:
    directory = tmp_path / "features"
    write_features(str(directory), {"total_cpu": "8", "hs06": "80"})
    write_features(str(directory), {"total_cpu": "4", "shutdowntime": "1800000000"})
    assert {path.name: path.read_text() for path in directory.iterdir()} == {
        "total_cpu": "4\n",
        "shutdowntime": "1800000000\n",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o644}


def test_what_does_not_change_is_not_written_again(tmp_path: Path) -> None:
    write_features(str(tmp_path), {"total_cpu": "8"})
    before = (tmp_path / "total_cpu").stat().st_ino
    write_features(str(tmp_path), {"total_cpu": "8"})
    assert (tmp_path / "total_cpu").stat().st_ino == before


def test_numbers_of_a_site_are_read_if_they_are_any(tmp_path: Path) -> None:
    values = {"good": " 12.5\n", "text": "fast", "negative": "-1", "nan": "nan", "endless": "1e300", "none": ""}
    for name, text in values.items():
        (tmp_path / name).write_text(text)
    assert {name: read_number(str(tmp_path), name) for name in [*values, "missing"]} == {
        **dict.fromkeys([*values, "missing"]),
        "good": 12.5,
    }
