"""What the demo asks of the store."""

from pathlib import Path

import pytest

from demo.progress import Progress, Snapshot
from vmdirac.model.states import InstanceStatus, JobStatus


def test_without_a_database_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    assert Progress(tmp_path / "vmdirac.db").unfinished() is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 100])
def test_with_a_database_that_is_none_of_ours_neither(tmp_path: Path, content: bytes) -> None:
    database = tmp_path / "vmdirac.db"
    database.write_bytes(content)

    assert Progress(database).unfinished() is False


def test_jobs_that_wait_or_run_are_open() -> None:
    snapshot = Snapshot(dict.fromkeys(JobStatus, 1), {})

    assert (snapshot.all_jobs, snapshot.open_jobs, snapshot.done) == (5, 2, 1)
    assert Snapshot({JobStatus.DONE: 40}, {}).open_jobs == 0


@pytest.mark.parametrize("status", InstanceStatus)
def test_only_a_halted_vm_is_not_open(status: InstanceStatus) -> None:
    assert Snapshot({}, {status: 2, InstanceStatus.HALTED: 5}).open_vms == (0 if status is InstanceStatus.HALTED else 2)
