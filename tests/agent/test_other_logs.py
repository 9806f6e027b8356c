"""What others on the VM said."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.agent.scripted_manager import SECRET
from vmdirac.agent.log import MOST_KEPT, Log
from vmdirac.agent.other_logs import MOST, OtherLogs
from vmdirac.manager.vm_files_messages import MAX_LOG


def test_the_end_of_each_is_below_its_name(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"first\nlast")
    (tmp_path / "long").write_bytes(b"x" * MOST + b"the end\n")
    (tmp_path / "empty").touch()
    found = OtherLogs(tuple(str(tmp_path / name) for name in ("one", "none", "empty", "long"))).read()
    long = b"x" * (MOST - 8) + b"the end\n"
    assert found == f"--- {tmp_path}/one ---\nfirst\nlast\n--- {tmp_path}/long ---\n".encode() + long


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    assert OtherLogs(tuple(str(tmp_path / name) for name in ("link", "pipe", "."))).read() == b""


def test_the_journal_is_asked_where_systemd_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "journalctl"
    program.write_text('#!/bin/sh\n[ "${7:-}" = "" ] || exit 1\necho "asked $6"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = OtherLogs((), journal=True).read().decode()
    assert "asked --unit=vmdirac-pilot.service\n" in said
    assert "asked --priority=warning\n" in said
    assert OtherLogs(()).read() == b""
    program.unlink()
    assert OtherLogs((), journal=True).read() == b""


def test_all_of_it_has_room_in_the_message_and_no_secret() -> None:
    log = Log(lambda line: None)
    log.secrets.add(SECRET)
    for number in range(5000):
        log("line %s: %s", number, "x" * 50)
    others = b"y" * MOST_KEPT + SECRET.encode() + b" at the end\n"
    kept = log.kept(others)
    assert MOST_KEPT - 200 < len(kept) <= MOST_KEPT + 100 <= MAX_LOG
    assert re.match(rb"\[\d+ earlier lines are not kept\]\n", kept)
    assert kept.endswith(b"*** at the end\n")
    assert b"line 4999: " in kept
    assert len(log.kept(b"short")) <= MOST_KEPT + 100
    assert log.kept(b"short").endswith(b"short")
