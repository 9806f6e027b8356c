"""Draining, and the ways in which an agent ends."""

from __future__ import annotations

import json

import pytest

from tests.agent.conversation import Conversation, start_job
from tests.agent.scripted_manager import Reply, job
from vmdirac.manager.vm_messages import VmAction

pytestmark = pytest.mark.slow


def test_another_agent_s_instance_is_given_up(talk: Conversation) -> None:
    talk.manager.script["register"] = [Reply(409, b'{"detail": "another nonce"}')]
    assert talk.to_its_end() == 3
    assert talk.routes() == ["register"]
    assert any("another nonce" in line for line in talk.log)


@pytest.mark.parametrize("route", ["register", "heartbeat", "match", "finish"])
def test_an_instance_that_is_over_ends(talk: Conversation, route: str) -> None:
    talk.manager.script[route] = [Reply(410)]
    talk.manager.waiting = [job(1, "run"), job(2, "cannot start")]
    assert talk.to_its_end() == 0
    assert talk.routes()[-1] == route
    assert talk.supervisor.stopped == ([1] if route == "finish" else [])
    assert talk.supervisor.running == {}


def test_told_by_credentials_that_it_is_to_halt_it_says_good_bye(talk: Conversation) -> None:
    """They are refused as soon as the deletion has begun, perhaps before a heartbeat said so."""
    talk.manager.rules["credentials"] = True
    talk.manager.script["credentials"] = [Reply(410)]
    assert talk.to_its_end() == 0
    assert talk.routes()[-3:] == ["credentials", "log", "halting"]
    assert talk.agent.power_off


def test_drain_is_acknowledged_at_once_and_nothing_is_matched(talk: Conversation) -> None:
    talk.manager.processors = 1
    start_job(talk)
    talk.manager.action = VmAction.DRAIN
    talk.until(lambda: len(talk.said("heartbeat")) == 3)
    assert talk.moments("heartbeat") == [0.0, 60.0, 60.0]
    assert [heartbeat.draining for heartbeat in talk.said("heartbeat")] == [False, False, True]
    matches = len(talk.said("match"))
    talk.pass_time(200.0)
    assert talk.supervisor.stopped == []
    talk.supervisor.end(1)
    talk.until(lambda: talk.said("heartbeat")[-1].jobs == [])
    assert talk.moments("heartbeat")[-1] == talk.moments("finish")[-1]
    assert talk.said("heartbeat")[-1].draining
    assert len(talk.said("match")) == matches


def test_drain_in_the_answer_to_a_match_is_acknowledged_too(talk: Conversation) -> None:
    talk.until(lambda: len(talk.said("match")) == 1)
    talk.manager.action = VmAction.DRAIN
    talk.until(lambda: len(talk.said("heartbeat")) == 2)
    assert talk.moments("heartbeat") == [0.0, 5.0]
    assert talk.said("heartbeat")[-1].draining


def test_a_drain_that_is_cancelled_takes_jobs_again(talk: Conversation) -> None:
    talk.manager.action = VmAction.DRAIN
    talk.pass_time(600.0)
    assert talk.said("match") == []
    talk.manager.action = VmAction.WORK
    start_job(talk)
    assert talk.moments("match")[0] == talk.moments("heartbeat")[-1]
    talk.pass_time(60.0)
    assert not talk.said("heartbeat")[-1].draining


def test_halt_stops_jobs_reports_and_ends(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.action = VmAction.HALT
    assert talk.to_its_end() == 0
    assert talk.supervisor.stopped == [1]
    assert talk.routes()[-1] == "halting"
    assert talk.said("halting")[0].reason == "told to halt"


def test_halt_in_the_answer_to_a_match_starts_nothing(talk: Conversation) -> None:
    answer = {"action": "halt", "jobs": [job(1, "run")]}
    talk.manager.script["match"] = [Reply(200, json.dumps(answer).encode())]
    assert talk.to_its_end() == 0
    assert talk.supervisor.stopped == []
    assert talk.routes() == ["register", "heartbeat", "match", "log", "halting"]


def test_the_first_reason_to_end_counts(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    talk.agent.finish("terminated by signal")
    talk.agent.finish("told to halt", tell=False, exit_code=3)
    assert talk.to_its_end() == 0
    assert [message.reason for message in talk.said("halting")] == ["terminated by signal"]
