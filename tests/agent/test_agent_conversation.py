"""What the agent says to the manager and when, and what it makes of the answers."""

from __future__ import annotations

import pytest

from tests.agent.conversation import NONCE, Conversation, start_job
from tests.agent.scripted_manager import SECRET, Reply, job
from vmdirac.agent.job import Job

pytestmark = pytest.mark.slow


def test_registers_then_reports_then_asks_for_work(talk: Conversation) -> None:
    talk.until(lambda: len(talk.times) >= 3)
    assert talk.routes()[:3] == ["register", "heartbeat", "match"]
    assert [call.token for call in talk.manager.calls[:3]] == [SECRET, "token-1", "token-1"]
    register, heartbeat, match = (call.message for call in talk.manager.calls[:3])
    assert register.nonce == NONCE
    assert register.private_ip == "127.0.0.1"
    assert register.hostname
    assert register.agent_version
    assert (heartbeat.jobs, heartbeat.busy_processors, heartbeat.draining, heartbeat.uptime) == ([], 0, False, 0)
    assert (match.processors, match.memory_mb, match.count) == (2, 0, 2)


def test_conflict_means_another_agent_only_when_registering(talk: Conversation) -> None:
    talk.manager.script["heartbeat"] = [Reply(409)]
    talk.until(lambda: len(talk.moments("heartbeat")) == 2)
    assert talk.moments("heartbeat") == [0.0, 0.5]


def test_heartbeats_come_when_the_manager_wants_them(talk: Conversation) -> None:
    talk.manager.heartbeat_period = 40.0
    talk.pass_time(100.0)
    assert talk.moments("heartbeat") == [0.0, 40.0, 80.0]
    assert [heartbeat.uptime for heartbeat in talk.said("heartbeat")] == [0.0, 40.0, 80.0]


def test_while_nothing_matches_it_asks_less_and_less_often(talk: Conversation) -> None:
    talk.pass_time(240.0)
    assert talk.moments("match") == [0.0, 5.0, 15.0, 35.0, 75.0, 135.0, 195.0]


def test_vms_do_not_ask_all_at_once(talk: Conversation) -> None:
    talk.chance = 0.0
    talk.pass_time(20.0)
    assert talk.moments("match")[:3] == [0.0, 3.75, 11.25]


def test_asks_again_as_soon_as_a_job_ended(talk: Conversation) -> None:
    start_job(talk)
    talk.pass_time(100.0)
    talk.supervisor.end(1)
    before = len(talk.moments("match"))
    talk.manager.waiting.append(job(2, "run"))
    talk.until(lambda: bool(talk.supervisor.running))
    assert talk.moments("match")[before] == talk.now - 1000.0


def test_asks_for_what_is_free_and_not_at_all_when_full(talk: Conversation) -> None:
    talk.manager.processors, talk.manager.memory_mb = 4, 4000
    talk.manager.waiting = [job(1, "run", memory_mb=2500)]
    talk.until(lambda: len(talk.moments("match")) == 2)
    assert [(match.processors, match.memory_mb) for match in talk.said("match")] == [(4, 4000), (3, 1500)]
    talk.manager.waiting = [job(2, "run")]  # says no memory: a processor's share
    talk.until(lambda: len(talk.said("match")) == 4)
    assert [(match.processors, match.memory_mb) for match in talk.said("match")[3:]] == [(2, 500)]
    talk.manager.waiting = [job(3, "run", memory_mb=500)]
    talk.until(lambda: len(talk.supervisor.running) == 3)
    asked = len(talk.said("match"))
    talk.pass_time(600.0)
    assert len(talk.said("match")) == asked
    assert talk.said("heartbeat")[-1].busy_processors == 3


def test_jobs_that_are_not_understood_do_not_stop_the_others(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = talk.agent._matching._make_job
    monkeypatch.setattr(
        talk.agent._matching,
        "_make_job",
        lambda entry: real({**entry, "processors": "many"} if entry["job"] == 1 else entry),
    )
    talk.manager.waiting = [job(1, "run"), job(2, "run")]
    talk.until(lambda: bool(talk.supervisor.running))
    assert [running.id for running in talk.supervisor.running.values()] == [2]
    talk.pass_time(60.0)
    assert [held.job for held in talk.said("heartbeat")[-1].jobs] == [2]


def test_an_outage_ends_nothing(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.stop()
    talk.pass_time(6 * 3600.0)
    assert [running.id for running in talk.supervisor.running.values()] == [1]
    talk.manager.start()
    talk.pass_time(60.0)
    assert [held.lease for held in talk.said("heartbeat")[-1].jobs] == ["lease-1"]


def test_jobs_that_end_do_not_make_it_ask_a_manager_that_is_down(talk: Conversation) -> None:
    talk.manager.processors = 3
    for number in (1, 2):
        start_job(talk, number)
    talk.manager.script["match"] = [Reply(503)] * 100
    talk.pass_time(200.0)
    before = talk.moments("match")
    for number in (1, 2):
        talk.supervisor.end(number)
    talk.pass_time(59.0)
    assert len(talk.moments("match")) <= len(before) + 1


@pytest.mark.parametrize("error", [OSError(23, "Too many open files in system"), MemoryError()])
def test_a_vm_that_is_out_of_resources_for_a_while_ends_nothing(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    start_job(talk)
    end = talk.now + 100.0
    look = talk.supervisor.look

    def fail(now: float) -> list[Job]:
        if now < end:
            raise error
        return look(now)

    monkeypatch.setattr(talk.supervisor, "look", fail)
    talk.pass_time(130.0)
    assert talk.supervisor.stopped == []
    assert talk.moments("heartbeat")[-1] >= 100.0


@pytest.mark.parametrize("route", ["heartbeat", "match"])
def test_back_off_grows_to_its_bound_and_starts_anew(talk: Conversation, route: str) -> None:
    talk.manager.script[route] = [Reply(503)] * 9
    talk.pass_time(400.0)
    pauses = [b - a for a, b in zip(talk.moments(route), talk.moments(route)[1:], strict=False)]
    assert pauses[:9] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    talk.manager.script[route] = [Reply(503)]
    before = len(talk.moments(route))
    talk.until(lambda: len(talk.moments(route)) == before + 2)
    assert talk.moments(route)[-1] - talk.moments(route)[-2] == 0.5


def test_back_off_of_fast_heartbeats_is_shorter(talk: Conversation) -> None:
    talk.manager.heartbeat_period = 3.0
    talk.manager.script["heartbeat"] = [Reply(503)] * 6
    talk.pass_time(40.0)
    assert talk.moments("heartbeat")[:7] == [0.0, 0.5, 1.5, 3.5, 7.5, 13.5, 19.5]


def test_throttled_heartbeats_wait_as_told(talk: Conversation) -> None:
    talk.manager.script["heartbeat"] = [Reply(429, headers={"Retry-After": "30"})]
    talk.until(lambda: len(talk.said("heartbeat")) == 2)
    assert talk.moments("heartbeat") == [0.0, 30.0]


def test_a_token_that_was_renewed_is_used(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.renewed_token = "token-2"
    talk.pass_time(180.0)
    talk.manager.tokens.discard("token-1")
    talk.supervisor.end(1)
    talk.until(lambda: talk.manager.leases == set())
    assert [call.token for call in talk.manager.calls][-2:] == ["token-2", "token-2"]
    assert "token-2" not in "".join(talk.log)


def test_a_token_that_expired_ends_nothing(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.tokens.clear()
    talk.pass_time(600.0)
    assert talk.supervisor.stopped == []
    assert talk.routes().count("register") == 1
    talk.manager.tokens.add("token-1")
    talk.pass_time(61.0)
    assert [held.job for held in talk.said("heartbeat")[-1].jobs] == [1]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"<html>",
        b'{"action": "work", "next_in": NaN}',
        b'{"action": "work", "next_in": "soon"}',
        b'{"action": "work", "next_in": 1, "token": "two words"}',
        b'{"action": "work", "next_in": 1, "token": 7}',
        b'{"action": "work", "next_in": 1, "lost_leases": 7}',
    ],
)
def test_a_broken_answer_is_a_failure_like_others(talk: Conversation, body: bytes) -> None:
    start_job(talk)
    talk.manager.script["heartbeat"] = [Reply(200, body)]
    talk.until(lambda: len(talk.said("heartbeat")) == 3)
    assert talk.moments("heartbeat") == [0.0, 60.0, 60.5]
    assert {call.token for call in talk.manager.calls[1:]} == {"token-1"}


@pytest.mark.parametrize("value", [b"-5", b"0", b"1e99", b"Infinity"])
def test_times_that_make_no_sense_are_bounded(talk: Conversation, value: bytes) -> None:
    talk.manager.script["heartbeat"] = [Reply(200, b'{"action": "work", "next_in": ' + value + b"}")]
    talk.until(lambda: len(talk.said("heartbeat")) == 2, 4000.0)
    assert 0.1 <= talk.moments("heartbeat")[1] <= 3600.0
