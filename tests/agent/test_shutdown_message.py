"""Why whatever works on a VM is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmdirac.agent.departure import Departure
from vmdirac.agent.shutdown_message import parse, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "100 Shutdown as requested by the VM's host",
            (100, "Shutdown as requested by the VM's host"),
        ),
        ("300 No more work available from task queue\n", (300, "No more work available from task queue")),
        ("700  Error related to job agent\nsecond line", (700, "Error related to job agent")),
        ("600", (600, "shutdown message without a text")),
        ("500\tProblem\x1b[31m detected", (500, "Problem?[31m detected")),
    ],
)
def test_code_and_text(text: str, expected: tuple[int, str]) -> None:
    assert parse(text) == Departure(*expected)


@pytest.mark.parametrize("text", ["", "\n", "done", "12 short", "1000 long", "099 no code", "300NoBlank", " 300 x"])
def test_what_is_no_message(text: str) -> None:
    assert parse(text) is None


def test_it_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "shutdown_message"
    assert read(str(file)) is None
    file.write_text("200 Success\n" + "x" * 10**6)
    assert read(str(file)) == Departure(200, "Success")
    file.write_bytes(b"200 \xff")
    assert read(str(file)) == Departure(200, "\ufffd")
    file.write_text("200 " + "x" * 10**6)
    found = read(str(file))
    assert found is not None
    assert len(found.reason) < 1000


def test_what_leads_elsewhere_or_never_ends_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("300 a secret")
    (tmp_path / "link").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    assert [read(str(tmp_path / name)) for name in ("link", "pipe", "directory")] == [None, None, None]
