"""What the demo asks of the store."""

from pathlib import Path

import pytest

from demo.progress import Progress, Snapshot
from tests.fakes.rows import instance_row
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store.database import Store
from vmdirac.store.tables import Base


def test_without_a_database_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    assert Progress(tmp_path / "vmdirac.db").unfinished() is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be looked at" * 100])
def test_with_a_database_that_is_none_of_ours_neither(tmp_path: Path, content: bytes) -> None:
    database = tmp_path / "vmdirac.db"
    database.write_bytes(content)

    assert Progress(database).unfinished() is False


def test_jobs_that_wait_or_run_are_open() -> None:
    snapshot = Snapshot(dict.fromkeys(JobStatus, 1), {}, 0)

    assert (snapshot.all_jobs, snapshot.open_jobs, snapshot.done) == (5, 2, 1)
    assert Snapshot({JobStatus.DONE: 40}, {}, 0).open_jobs == 0


@pytest.mark.parametrize(
    ("status", "vm_gone", "is_open"),
    [
        (InstanceStatus.NEW, False, True),
        (InstanceStatus.STOPPING, False, True),
        (InstanceStatus.HALTED, True, False),
        (InstanceStatus.ERROR, False, True),
        pytest.param(InstanceStatus.ERROR, True, False, id="a refused launch has no VM"),
    ],
)
def test_a_demo_goes_on_while_a_vm_may_be_there(
    tmp_path: Path, status: InstanceStatus, *, vm_gone: bool, is_open: bool
) -> None:
    database = tmp_path / "vmdirac.db"
    store = Store(f"sqlite:///{database}")
    Base.metadata.create_all(store.engine)
    with store.write() as session:
        session.add(instance_row(status, vm_gone=vm_gone))
    store.close()

    progress = Progress(database)
    assert progress.snapshot().open_vms == int(is_open)
    assert progress.unfinished() is is_open
    progress.close()
