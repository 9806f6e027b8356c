"""Jobs run only with the credentials that they need; and a new agent is taken when no job is lost by it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.agent.conversation import Conversation, start_job
from tests.agent.scripted_manager import Reply, ScriptedManager
from tests.agent.test_update import BROKEN, GOOD, digest
from vmdirac.agent.update import Program
from vmdirac.manager.vm_messages import VmAction

pytestmark = pytest.mark.slow


@pytest.fixture
def needy(talk: Conversation) -> Conversation:
    talk.manager.rules["credentials"] = True
    content = base64.b64encode(b"the proxy").decode()
    proxy = {"name": "proxy", "environment": "X509_USER_PROXY", "content": content, "version": "v1"}
    talk.manager.credentials = {"credentials": [proxy], "removed": [], "next_in": 300.0}
    return talk


def test_they_are_asked_for_before_the_first_job(needy: Conversation) -> None:
    start_job(needy)
    assert needy.routes()[:4] == ["register", "heartbeat", "credentials", "match"]
    [running] = needy.supervisor.running.values()
    path = needy.path / "credentials" / "proxy"
    assert running.credentials is not None
    assert running.credentials.environment()["X509_USER_PROXY"] == str(path)
    assert path.read_bytes() == b"the proxy"


def test_no_job_is_taken_before_they_came(needy: Conversation) -> None:
    needy.manager.script["credentials"] = [Reply(500)] * 8
    start_job(needy)
    assert needy.routes().index("match") > [*needy.routes()].index("credentials") + 7
    assert needy.moments("credentials")[:4] == [0.0, 0.5, 1.5, 3.5]
    assert needy.moments("match")[0] == needy.moments("credentials")[-1]


def test_they_are_renewed_when_the_manager_says_and_only_what_changed(needy: Conversation) -> None:
    needy.until(lambda: bool(needy.said("match")))
    needy.manager.credentials = {"credentials": [], "removed": ["proxy"], "next_in": 100.0}
    needy.pass_time(450.0)
    assert needy.moments("credentials") == [0.0, 300.0, 400.0]
    assert [message.have for message in needy.said("credentials")] == [{}, {"proxy": "v1"}, {}]
    assert not (needy.path / "credentials" / "proxy").exists()


def test_if_they_cannot_be_renewed_jobs_go_on_and_are_taken(needy: Conversation) -> None:
    start_job(needy)
    needy.manager.script["credentials"] = [Reply(503)] * 1000
    needy.pass_time(1000.0)
    start_job(needy, 2)
    assert needy.supervisor.stopped == []
    assert len(needy.supervisor.running) == 2


def test_those_that_its_pod_is_given_later_are_asked_for_before_the_next_job(needy: Conversation) -> None:
    needy.manager.rules["credentials"] = False
    start_job(needy)
    assert needy.said("credentials") == []
    needy.manager.pod_has_credentials = True
    needy.until(lambda: bool(needy.said("credentials")))
    start_job(needy, 2)
    assert needy.moments("match")[-1] >= needy.moments("credentials")[0]
    [second] = [job for job in needy.supervisor.running.values() if job.id == 2]
    assert second.credentials is not None
    assert "X509_USER_PROXY" in second.credentials.environment()


def test_where_the_pod_has_none_nobody_asks(needy: Conversation) -> None:
    needy.manager.rules["credentials"] = False
    needy.pass_time(1000.0)
    assert needy.said("credentials") == []


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "vmdirac_agent.py"
    path.write_bytes(b"# the old one\n")
    return path


@pytest.fixture
def updating(manager: ScriptedManager, program: Path, tmp_path: Path) -> Conversation:
    manager.agent, manager.agent_sha256 = GOOD, digest(GOOD)
    return Conversation(manager, tmp_path, program=Program(str(program), "agent.json"))


def test_an_idle_vm_takes_it(updating: Conversation, program: Path) -> None:
    assert updating.to_its_end() == 0
    assert updating.agent.updated
    assert not updating.agent.power_off
    assert program.read_bytes() == GOOD
    assert updating.said("halting") == []


def test_jobs_and_their_results_come_first(updating: Conversation, program: Path) -> None:
    updating.manager.agent_sha256 = ""
    start_job(updating)
    updating.manager.agent_sha256 = digest(GOOD)
    updating.pass_time(1000.0)
    assert updating.manager.fetched == 0
    updating.supervisor.end(1)
    assert updating.to_its_end() == 0
    assert updating.said("finish")
    assert updating.agent.updated


def test_one_that_is_wanted_already_here_is_not_fetched(updating: Conversation) -> None:
    updating.manager.agent_sha256 = digest(b"# the old one\n")
    updating.pass_time(1000.0)
    assert updating.manager.fetched == 0


def test_another_one_than_was_named_is_not_taken_and_asked_for_again(updating: Conversation, program: Path) -> None:
    updating.manager.agent = BROKEN
    updating.pass_time(600.0)
    assert program.read_bytes() == b"# the old one\n"
    assert 2 < updating.manager.fetched < 15
    start_job(updating)


def test_one_that_does_not_run_here_is_asked_for_once(updating: Conversation, program: Path) -> None:
    updating.manager.agent, updating.manager.agent_sha256 = BROKEN, digest(BROKEN)
    updating.pass_time(600.0)
    assert updating.manager.fetched == 1
    assert program.read_bytes() == b"# the old one\n"
    start_job(updating)


def test_a_vm_that_drains_needs_no_new_one(updating: Conversation) -> None:
    updating.manager.action = VmAction.DRAIN
    updating.pass_time(600.0)
    assert updating.manager.fetched == 0
