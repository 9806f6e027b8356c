"""What a VM has done, however often its agent was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.conversation import Conversation
from tests.agent.scripted_manager import ScriptedManager
from vmdirac.agent.log import Log
from vmdirac.agent.totals import KEEPING_PERIOD, Totals


class Times:
    """A clock that a test moves, and what is said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 0.0
        self.said: list[bytes] = []

    def totals(self, instance: str = "17") -> Totals:
        return Totals(str(self.path / "totals.json"), {"instance": instance}, Log(self.said.append), lambda: self.now)


@pytest.fixture
def times(tmp_path: Path) -> Times:
    return Times(tmp_path)


def test_they_are_kept(times: Times) -> None:
    first = times.totals()
    times.now = 50.0
    first.add(2, 100)
    first.add(1, 5)
    times.now = 7000.0  # the clock of another boot
    again = times.totals()
    assert (again.files, again.bytes, again.uptime()) == (3, 105, 50.0)
    times.now = 7030.0
    assert again.uptime() == 80.0


def test_the_time_is_kept_now_and_then(times: Times) -> None:
    first = times.totals()
    times.now = KEEPING_PERIOD
    first.uptime()
    times.now = 2 * KEEPING_PERIOD - 1
    first.uptime()
    assert times.totals().uptime() == KEEPING_PERIOD
    first.keep()
    assert times.totals().uptime() == 2 * KEEPING_PERIOD - 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"whose": {"instance": "17"}, "files": "x"}'])
def test_what_is_broken_counts_for_nothing(times: Times, text: str) -> None:
    (times.path / "totals.json").write_text(text)
    found = times.totals()
    assert (found.files, found.bytes, found.uptime()) == (0, 0, 0.0)


def test_those_of_another_vm_count_for_nothing(times: Times) -> None:
    times.totals("18").add(1, 1)
    assert times.totals().files == 0


def test_that_they_cannot_be_kept_is_only_said(times: Times) -> None:
    (times.path / ".totals.json.new").mkdir()
    times.totals().add(1, 1)
    assert b"cannot be noted" in times.said[0]


def test_an_agent_that_starts_again_goes_on_counting(manager: ScriptedManager, tmp_path: Path) -> None:
    Times(tmp_path).totals().add(3, 30)
    first = Conversation(manager, tmp_path)
    first.pass_time(300.0)
    before = first.said("heartbeat")[-1]
    assert (before.transferred_files, before.transferred_bytes) == (3, 30)
    again = Conversation(manager, tmp_path)
    again.pass_time(130.0)
    after = again.said("heartbeat")[-1]
    assert (after.transferred_files, after.transferred_bytes) == (3, 30)
    assert after.uptime >= before.uptime + 60.0
