"""The load that a VM reports: averaged over the timespan that the manager wants."""

import os
from pathlib import Path

import pytest

from tests.agent.conversation import Conversation
from tests.agent.scripted_manager import Reply, ScriptedManager

pytestmark = pytest.mark.slow


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the machine says, one after the other; the last one for ever."""
    values = [0.0]

    def said() -> tuple[float, float, float]:
        return (values.pop(0) if len(values) > 1 else values[0], 99.0, 99.0)

    monkeypatch.setattr(os, "getloadavg", said)
    return values


@pytest.fixture
def talk(manager: ScriptedManager, tmp_path: Path) -> Conversation:
    return Conversation(manager, tmp_path)


def reported(talk: Conversation, count: int) -> list[float]:
    talk.until(lambda: len(talk.said("heartbeat")) >= count)
    return [message.load for message in talk.said("heartbeat")][:count]


@pytest.mark.parametrize(
    ("timespan", "expected"),
    [
        # Heartbeats come every 60 s.
        (0.0, [8.0, 4.0, 0.0, 0.0, 6.0]),
        (59.0, [8.0, 4.0, 0.0, 0.0, 6.0]),
        (60.0, [8.0, 6.0, 2.0, 0.0, 3.0]),
        (120.0, [8.0, 6.0, 4.0, 4 / 3, 2.0]),
        (86400.0, [8.0, 6.0, 4.0, 3.0, 3.6]),
    ],
)
def test_the_load_is_averaged_over_the_timespan(
    manager: ScriptedManager, talk: Conversation, loads: list[float], timespan: float, expected: list[float]
) -> None:
    manager.load_average_timespan = timespan
    loads[:] = [8.0, 4.0, 0.0, 0.0, 6.0]
    assert reported(talk, 5) == pytest.approx(expected)


def test_a_heartbeat_that_was_not_answered_counts_as_another_one(
    manager: ScriptedManager, talk: Conversation, loads: list[float]
) -> None:
    manager.load_average_timespan = 86400.0
    manager.script["heartbeat"] = [Reply(503)]
    loads[:] = [3.0, 5.0]
    assert reported(talk, 2) == [3.0, 4.0]


@pytest.mark.parametrize("timespan", [0.0, 60.0])
def test_the_load_is_that_of_the_last_minute(
    manager: ScriptedManager, talk: Conversation, loads: list[float], timespan: float
) -> None:
    """Not that of five or fifteen."""
    manager.load_average_timespan = timespan
    loads[:] = [0.5]
    assert reported(talk, 3) == [0.5, 0.5, 0.5]
