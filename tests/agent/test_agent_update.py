"""A new agent is taken when no job is lost by it; and an agent that starts again is the same VM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.conversation import Conversation, start_job
from tests.agent.scripted_manager import ScriptedManager
from tests.agent.test_update import BROKEN, GOOD, digest
from vmdirac.agent.update import Program
from vmdirac.manager.vm_messages import VmAction


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "vmdirac_agent.py"
    path.write_bytes(b"# the old one\n")
    return path


@pytest.fixture
def talk(manager: ScriptedManager, program: Path, tmp_path: Path) -> Conversation:
    manager.agent, manager.agent_sha256 = GOOD, digest(GOOD)
    return Conversation(manager, tmp_path, program=Program(str(program), "agent.json"))


def test_an_idle_vm_takes_it(talk: Conversation, program: Path) -> None:
    assert talk.to_its_end() == 0
    assert talk.agent.updated
    assert not talk.agent.power_off
    assert program.read_bytes() == GOOD
    assert talk.said("halting") == []


def test_jobs_and_their_results_come_first(talk: Conversation, program: Path) -> None:
    talk.manager.agent_sha256 = ""
    start_job(talk)
    talk.manager.agent_sha256 = digest(GOOD)
    talk.pass_time(1000.0)
    assert talk.manager.fetched == 0
    talk.supervisor.end(1)
    assert talk.to_its_end() == 0
    assert talk.said("finish")
    assert talk.agent.updated


def test_one_that_is_wanted_already_here_is_not_fetched(talk: Conversation) -> None:
    talk.manager.agent_sha256 = digest(b"# the old one\n")
    talk.pass_time(1000.0)
    assert talk.manager.fetched == 0


def test_another_one_than_was_named_is_not_taken_and_asked_for_again(talk: Conversation, program: Path) -> None:
    talk.manager.agent = BROKEN
    talk.pass_time(600.0)
    assert program.read_bytes() == b"# the old one\n"
    assert 2 < talk.manager.fetched < 15
    start_job(talk)


def test_one_that_does_not_run_here_is_asked_for_once(talk: Conversation, program: Path) -> None:
    talk.manager.agent, talk.manager.agent_sha256 = BROKEN, digest(BROKEN)
    talk.pass_time(600.0)
    assert talk.manager.fetched == 1
    assert program.read_bytes() == b"# the old one\n"
    start_job(talk)


def test_a_vm_that_drains_needs_no_new_one(talk: Conversation) -> None:
    talk.manager.action = VmAction.DRAIN
    talk.pass_time(600.0)
    assert talk.manager.fetched == 0


def test_who_starts_again_goes_on_with_its_token(manager: ScriptedManager, tmp_path: Path) -> None:
    first = Conversation(manager, tmp_path)
    manager.renewed_token = "token-2"
    manager.rules["contact_deadline"] = 900.0
    first.until(lambda: bool(first.said("match")))
    again = Conversation(manager, tmp_path)
    manager.calls.clear()
    again.until(lambda: bool(again.said("match")))
    assert again.routes() == ["heartbeat", "match"]
    assert [call.token for call in manager.calls] == ["token-2", "token-2"]
    assert again.agent._rules.contact_deadline == 900.0
