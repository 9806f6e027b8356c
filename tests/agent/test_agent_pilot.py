"""Another pilot takes the jobs: the agent counts them, and keeps it from more while the VM drains."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.conversation import Conversation
from tests.agent.scripted_manager import ScriptedManager
from vmdirac.agent.foreign_pilot import SETTLING
from vmdirac.manager.vm_messages import VmAction


@pytest.fixture
def talk(manager: ScriptedManager, tmp_path: Path) -> Conversation:
    manager.rules |= {"job_wrappers_location": str(tmp_path / "scratch"), "pilot_stop_file": str(tmp_path / "pilot")}
    (tmp_path / "scratch" / "jobAgent-1").mkdir(parents=True)
    return Conversation(manager, tmp_path)


def job(talk: Conversation) -> Path:
    return talk.path / "scratch" / "jobAgent-1" / "1.jdl"


def test_its_jobs_are_told_and_none_is_asked_for(talk: Conversation) -> None:
    job(talk).touch()
    talk.pass_time(100.0)
    job(talk).unlink()
    talk.pass_time(100.0)
    assert talk.said("match") == []
    heartbeats = talk.said("heartbeat")
    assert [message.foreign_jobs for message in heartbeats] == [1, 1, 0, 0]
    assert [message.busy_processors for message in heartbeats] == [1, 1, 0, 0]


def test_a_drain_is_acknowledged_when_it_takes_no_more(talk: Conversation) -> None:
    job(talk).touch()
    talk.until(lambda: bool(talk.said("heartbeat")))
    talk.manager.action = VmAction.DRAIN
    talk.until((talk.path / "pilot").exists)
    stopped = talk.now
    talk.until(lambda: talk.said("heartbeat")[-1].draining)
    assert SETTLING <= talk.now - stopped < SETTLING + 70.0
    job(talk).unlink()
    talk.pass_time(70.0)
    assert (talk.said("heartbeat")[-1].draining, talk.said("heartbeat")[-1].foreign_jobs) == (True, 0)


def test_a_drain_that_is_cancelled_lets_it_work_again(talk: Conversation) -> None:
    talk.manager.action = VmAction.DRAIN
    talk.until(lambda: bool(talk.said("heartbeat")) and talk.said("heartbeat")[-1].draining)
    talk.manager.action = VmAction.WORK
    talk.pass_time(130.0)
    assert not (talk.path / "pilot").exists()
    assert not talk.said("heartbeat")[-1].draining


def test_its_message_ends_the_vm_once_it_has_no_job(talk: Conversation) -> None:
    job(talk).touch()
    talk.until(lambda: bool(talk.said("heartbeat")))
    (talk.path / "shutdown_message").write_text("300 No more work available\n")
    talk.pass_time(1000.0)
    assert talk.said("heartbeat")[-1].leaving == "No more work available"
    job(talk).unlink()
    assert talk.to_its_end() == 0
    assert talk.said("halting")[0].code == 300


def test_its_jobs_keep_a_vm_alive_that_nobody_hears(talk: Conversation) -> None:
    talk.manager.rules["contact_deadline"] = 900.0
    job(talk).touch()
    talk.until(lambda: bool(talk.said("heartbeat")))
    talk.manager.stop()
    talk.pass_time(10000.0)
    job(talk).unlink()
    assert talk.to_its_end() == 0


def test_it_is_told_what_it_may_use(talk: Conversation) -> None:
    talk.manager.memory_mb = 4000
    talk.pass_time(20.0)
    features = {path.name: path.read_text().strip() for path in (talk.path / "jobfeatures").iterdir()}
    assert (features["allocated_cpu"], features["max_rss_bytes"]) == ("2", str(4000 * 2**20))
    assert features["cpu_limit_secs"] == "2000"
