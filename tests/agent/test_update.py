"""A new agent is taken if it is the one that was named, and if it runs here."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

import pytest

from vmdirac.agent.update import TIMES_NAMED, Program, UpdateError

GOOD = b"import sys\nsys.exit(0 if sys.argv[1:] == ['--check', 'agent.json'] else 9)\n"
BROKEN = b"import nothing_of_this_name\n"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    file = tmp_path / "vmdirac_agent.py"
    file.write_bytes(b"# the old one\n")
    file.chmod(0o640)
    return Program(str(file), "agent.json")


def name(program: Program, content: bytes, times: int = TIMES_NAMED) -> None:
    for _ in range(times):
        program.note(digest(content))


def test_another_one_is_wanted_if_it_is_named_again_and_again(program: Program) -> None:
    assert program.wanted() == ""
    name(program, GOOD, TIMES_NAMED - 1)
    assert program.wanted() == ""
    name(program, GOOD, 1)
    assert program.wanted() == digest(GOOD)
    name(program, b"# the old one\n", 1)
    assert program.wanted() == ""
    name(program, GOOD, TIMES_NAMED - 1)
    assert program.wanted() == ""


def test_this_one_and_none_are_not_wanted(program: Program) -> None:
    name(program, b"# the old one\n")
    assert program.wanted() == ""
    for _ in range(TIMES_NAMED):
        program.note("")
    assert program.wanted() == ""


def test_it_takes_the_place_of_the_old_one(program: Program, tmp_path: Path) -> None:
    name(program, GOOD)
    program.replace(GOOD)
    assert Path(program.path).read_bytes() == GOOD
    assert stat.S_IMODE(Path(program.path).stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["vmdirac_agent.py"]


def test_one_that_was_not_named_is_not_taken_and_may_come_later(program: Program) -> None:
    name(program, GOOD)
    with pytest.raises(UpdateError, match="another agent"):
        program.replace(BROKEN)
    assert Path(program.path).read_bytes() == b"# the old one\n"
    assert program.wanted() == digest(GOOD)


def test_one_that_does_not_run_here_is_never_wanted_again(program: Program, tmp_path: Path) -> None:
    name(program, BROKEN)
    with pytest.raises(UpdateError, match="nothing_of_this_name"):
        program.replace(BROKEN)
    assert Path(program.path).read_bytes() == b"# the old one\n"
    assert [path.name for path in tmp_path.iterdir()] == ["vmdirac_agent.py"]
    assert program.wanted() == ""
    name(program, GOOD)
    assert program.wanted() == digest(GOOD)
