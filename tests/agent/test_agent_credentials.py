"""Jobs that need credentials run only once they are there, and go on if they cannot be renewed."""

from __future__ import annotations

import base64

import pytest

from tests.agent.conversation import Conversation, start_job
from tests.agent.scripted_manager import Reply


@pytest.fixture
def talk(talk: Conversation) -> Conversation:
    talk.manager.rules["credentials"] = True
    content = base64.b64encode(b"the proxy").decode()
    proxy = {"name": "proxy", "environment": "X509_USER_PROXY", "content": content, "version": "v1"}
    talk.manager.credentials = {"credentials": [proxy], "removed": [], "next_in": 300.0}
    return talk


def test_they_are_asked_for_before_the_first_job(talk: Conversation) -> None:
    start_job(talk)
    assert talk.routes()[:4] == ["register", "heartbeat", "credentials", "match"]
    [running] = talk.supervisor.running.values()
    path = talk.path / "credentials" / "proxy"
    assert running.credentials is not None
    assert running.credentials.environment()["X509_USER_PROXY"] == str(path)
    assert path.read_bytes() == b"the proxy"


def test_no_job_is_taken_before_they_came(talk: Conversation) -> None:
    talk.manager.script["credentials"] = [Reply(500)] * 8
    start_job(talk)
    assert talk.routes().index("match") > [*talk.routes()].index("credentials") + 7
    assert talk.moments("credentials")[:4] == [0.0, 0.5, 1.5, 3.5]
    assert talk.moments("match")[0] == talk.moments("credentials")[-1]


def test_they_are_renewed_when_the_manager_says_and_only_what_changed(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    talk.manager.credentials = {"credentials": [], "removed": ["proxy"], "next_in": 100.0}
    talk.pass_time(450.0)
    assert talk.moments("credentials") == [0.0, 300.0, 400.0]
    assert [message.have for message in talk.said("credentials")] == [{}, {"proxy": "v1"}, {}]
    assert not (talk.path / "credentials" / "proxy").exists()


def test_if_they_cannot_be_renewed_jobs_go_on_and_are_taken(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.script["credentials"] = [Reply(503)] * 1000
    talk.pass_time(1000.0)
    start_job(talk, 2)
    assert talk.supervisor.stopped == []
    assert len(talk.supervisor.running) == 2


def test_those_that_its_pod_is_given_later_are_asked_for_before_the_next_job(talk: Conversation) -> None:
    talk.manager.rules["credentials"] = False
    start_job(talk)
    assert talk.said("credentials") == []
    talk.manager.pod_has_credentials = True
    talk.until(lambda: bool(talk.said("credentials")))
    start_job(talk, 2)
    assert talk.moments("match")[-1] >= talk.moments("credentials")[0]
    [second] = [job for job in talk.supervisor.running.values() if job.id == 2]
    assert second.credentials is not None
    assert "X509_USER_PROXY" in second.credentials.environment()


def test_where_the_pod_has_none_nobody_asks(talk: Conversation) -> None:
    talk.manager.rules["credentials"] = False
    talk.pass_time(1000.0)
    assert talk.said("credentials") == []
