"""A directory that nobody else can write to."""

import stat
import tempfile
from pathlib import Path

import pytest

from vmdirac.hooks.own_directory import own_directory
from vmdirac.model.errors import TransientError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_is_for_this_user_alone_and_the_same_each_time() -> None:
    made = own_directory("things")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert own_directory("things") == made != own_directory("others")


def test_what_somebody_else_put_there_is_not_taken(tmp_path: Path) -> None:
    made = own_directory("things")
    made.rmdir()
    (tmp_path / "elsewhere").mkdir()
    made.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TransientError, match="somebody else"):
        own_directory("things")


def test_what_is_no_directory_is_not_taken() -> None:
    made = own_directory("things")
    made.rmdir()
    made.touch()
    with pytest.raises(TransientError, match="somebody else"):
        own_directory("things")
