"""What a job left in its output directory: plain files count, and nothing else that a job may think of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmdirac.agent.files import RefusedError
from vmdirac.agent.outputs import LARGEST, MOST, Output, list_outputs, open_output
from vmdirac.manager.vm_messages import MAX_FILES, MAX_UPLOAD


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_plain_files_by_name(directory: int, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"123")
    (tmp_path / "a\nb ü").write_bytes(b"")
    assert list_outputs(directory) == ([Output("a\nb ü", 0), Output("b", 3)], [])
    with open_output(directory, "b") as file:
        assert file.read() == b"123"


def test_whatever_leads_elsewhere_does_not_count(directory: int, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    found, remarks = list_outputs(directory)
    assert found == []
    assert len(remarks) == 4
    assert sum("not a plain file" in remark for remark in remarks) == 3
    assert all(remark.isascii() for remark in remarks)
    for name in ("link", "pipe", "directory"):
        with pytest.raises((RefusedError, OSError)):
            open_output(directory, name).read()


def test_there_is_an_end_to_number_and_size(directory: int, tmp_path: Path) -> None:
    for number in range(MOST + 5):
        (tmp_path / f"{number:03}").touch()
    os.truncate(tmp_path / "000", LARGEST + 1)
    found, remarks = list_outputs(directory)
    assert [output.name for output in found] == [f"{number:03}" for number in range(1, MOST + 1)]
    assert remarks == [
        f"output not sent: 000: larger than {LARGEST} bytes",
        f"only the first {MOST} of {MOST + 4} files in the output directory are sent",
    ]


def test_the_manager_takes_no_less() -> None:
    assert (MOST, LARGEST) == (MAX_FILES, MAX_UPLOAD)
