"""The scripted manager and a real agent; and a check that nothing was said that the real manager would refuse."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.conversation import Conversation
from tests.agent.real_agent import RealAgent, wait_until
from tests.agent.scripted_manager import ScriptedManager


@pytest.fixture
def manager() -> Iterator[ScriptedManager]:
    scripted = ScriptedManager()
    yield scripted
    scripted.stop()
    assert scripted.refused == []


@pytest.fixture
def agent(manager: ScriptedManager, tmp_path: Path) -> Iterator[RealAgent]:
    """An agent that talks to the scripted manager; not started yet. Nothing of it is left after the test."""
    real = RealAgent(manager, tmp_path)
    yield real
    real.clean_up()
    wait_until(lambda: not real.own_processes() + real.jobs_processes(), "the end of all processes")


@pytest.fixture
def talk(manager: ScriptedManager, tmp_path: Path) -> Conversation:
    """An agent whose time passes only while it waits."""
    return Conversation(manager, tmp_path)
