"""What is done and said at the end."""

from __future__ import annotations

import pytest

from tests.agent.conversation import Conversation
from tests.agent.scripted_manager import Reply
from vmdirac.manager.vm_messages import VmAction


def test_the_end_waits_only_a_while_for_the_manager(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    talk.manager.script["halting"] = [Reply(503)] * 100
    talk.agent.finish("terminated by signal")
    begin = talk.now
    assert talk.to_its_end() == 0
    assert 3 <= len(talk.said("halting")) <= 20
    assert talk.now - begin <= 10.0
    assert talk.said("halting")[0].reason == "terminated by signal"


@pytest.mark.parametrize("status", [204, 410])
def test_the_end_is_reported_once(talk: Conversation, status: int) -> None:
    talk.manager.script["halting"] = [Reply(status, b"")]
    talk.manager.action = VmAction.HALT
    assert talk.to_its_end() == 0
    assert talk.routes().count("halting") == 1


def test_an_end_before_registering_has_nothing_to_report(talk: Conversation) -> None:
    talk.manager.script["register"] = [Reply(425)]
    talk.until(lambda: talk.routes() == ["register"])
    talk.agent.finish("terminated by signal")
    assert talk.to_its_end() == 0
    assert talk.routes() == ["register"]


def test_its_log_is_sent_before_its_last_word(talk: Conversation) -> None:
    talk.manager.action = VmAction.HALT
    assert talk.to_its_end() == 0
    assert talk.routes()[-2:] == ["log", "halting"]
    [message] = talk.said("log")
    assert b"registered: 2 processors" in message.log
    assert b"ending: told to halt" in message.log


def test_what_the_pilot_said_is_sent_with_its_log(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    (talk.path / "pilot.log").write_text("the pilot got token-1\n")
    talk.manager.action = VmAction.HALT
    assert talk.to_its_end() == 0
    [message] = talk.said("log")
    assert message.log.endswith(b"/pilot.log ---\nthe pilot got ***\n")
    assert b"ending: told to halt" in message.log


def test_a_log_that_is_refused_keeps_nobody_from_ending(talk: Conversation) -> None:
    talk.manager.script["log"] = [Reply(500)]
    talk.manager.action = VmAction.HALT
    assert talk.to_its_end() == 0
    assert talk.routes()[-2:] == ["log", "halting"]
