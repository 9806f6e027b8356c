"""The local cloud on disk."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.hooks.children import in_processes
from vmdirac.hooks import local_store
from vmdirac.hooks.local_store import (
    LocalStore,
    VmRecord,
    cloud_id_of,
    exclusive,
    read_record,
    typed_errors,
)
from vmdirac.model.errors import CapacityError, CloudError, ConfigError, TransientError

RECORD = VmRecord(
    installation="ours",
    token="0-1",
    name="é",
    boot_image="host",
    flavor="small",
    processors=1,
    memory_mb=512,
    tags={"a": "b"},
    digest="d",
    launched_at=datetime(2026, 1, 2, tzinfo=UTC),
    boot_delay=0,
    boot_fault=None,
)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore(tmp_path / "cloud")
    store.prepare()
    return store


def test_an_id_follows_from_installation_and_token() -> None:
    assert cloud_id_of("ours", "0-1") == cloud_id_of("ours", "0-1")
    ids = {cloud_id_of("ours", "0-1"), cloud_id_of("ours", "0-2"), cloud_id_of("theirs", "0-1")}
    assert len(ids) == 3


def test_a_vm_exists_once_it_is_published(store: LocalStore) -> None:
    cloud_id = cloud_id_of("ours", "0-1")
    staged = store.stage(RECORD, b"#!\xc3\xa9")
    assert (store.machine(cloud_id), store.machines()) == (None, [])
    store.publish(staged, cloud_id)
    (machine,) = store.machines()
    assert machine.cloud_id == cloud_id
    assert read_record(machine) == RECORD
    assert machine.user_data.read_bytes() == b"#!\xc3\xa9"
    assert machine.read_state() is None


def test_staging_clears_what_an_interrupted_launch_left(store: LocalStore) -> None:
    left = store.stage(RECORD, b"secret")
    staged = store.stage(RECORD, b"")
    assert list(staged.parent.iterdir()) == [staged]
    assert not left.exists()


def test_a_published_vm_is_never_replaced(store: LocalStore) -> None:
    cloud_id = cloud_id_of("ours", "0-1")
    store.publish(store.stage(RECORD, b"first"), cloud_id)
    with pytest.raises(OSError, match="not empty"):
        store.publish(store.stage(RECORD, b"second"), cloud_id)
    assert store.machines()[0].user_data.read_bytes() == b"first"


def test_a_root_is_spelled_in_one_way_only(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(store.root)
    assert LocalStore(tmp_path / "link").root == store.root


def test_an_archived_vm_is_finished(store: LocalStore) -> None:
    cloud_id = cloud_id_of("ours", "0-1")
    machine = store.publish(store.stage(RECORD, b""), cloud_id)
    machine.archive()
    assert store.machine(cloud_id) is None
    finished = store.finished(cloud_id)
    assert finished
    assert read_record(finished) == RECORD
    with pytest.raises(FileNotFoundError):
        read_record(machine)


def test_a_lock_excludes_other_processes(store: LocalStore, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        for _ in range(50):
            with store.locked():
                counter.write_text(str(int(counter.read_text()) + 1))

    in_processes(count, 4)
    assert counter.read_text() == "200"


def test_a_lock_that_stays_taken_is_a_transient_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_store, "LOCK_PATIENCE", 0.0)
    lock = tmp_path / "lock"
    with exclusive(lock), pytest.raises(TransientError, match="stays locked"), exclusive(lock):
        pytest.fail("two had it")
    with exclusive(lock):
        assert lock.exists()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, CapacityError),
        (errno.EDQUOT, CapacityError),
        (errno.EACCES, ConfigError),
        (errno.EROFS, ConfigError),
        (errno.EIO, TransientError),
        (errno.EINTR, TransientError),
    ],
)
def test_what_the_system_says_no_with_is_typed(tmp_path: Path, number: int, kind: type[CloudError]) -> None:
    with pytest.raises(CloudError, match=str(tmp_path)) as raised, typed_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert raised.type is kind
    assert os.strerror(number) in str(raised.value)
