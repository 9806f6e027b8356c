"""The VM goes by itself: a stop file, a message of whatever works there, its age, or a manager that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.conversation import Conversation, start_job
from tests.agent.scripted_manager import Reply
from vmdirac.agent.departure import RESULTS_PATIENCE
from vmdirac.manager.vm_messages import HaltingRequest, VmAction

pytestmark = pytest.mark.slow


def the_end(talk: Conversation) -> HaltingRequest:
    assert talk.to_its_end() == 0
    [message] = talk.said("halting")
    assert isinstance(message, HaltingRequest)
    return message


def test_a_stop_file_ends_a_vm_that_has_no_job(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    (talk.path / "stop").touch()
    message = the_end(talk)
    assert (message.code, message.reason) == (400, "its stop file is there")
    assert talk.agent.power_off


def test_a_stop_file_lets_jobs_end_and_takes_no_more(talk: Conversation) -> None:
    start_job(talk)
    (talk.path / "stop").touch()
    talk.until(lambda: talk.said("heartbeat")[-1].leaving != "")
    assert talk.said("heartbeat")[-1].draining
    matches = len(talk.said("match"))
    talk.pass_time(1000.0)
    assert talk.supervisor.stopped == []
    talk.supervisor.end(1)
    assert the_end(talk).code == 400
    assert len(talk.said("match")) == matches
    assert [call.job for call in talk.manager.calls if call.route == "finish"] == [1]


def test_a_stop_file_that_is_taken_away_again_is_forgotten(talk: Conversation) -> None:
    start_job(talk)
    (talk.path / "stop").touch()
    talk.until(lambda: talk.said("heartbeat")[-1].leaving != "")
    (talk.path / "stop").unlink()
    start_job(talk, 2)
    talk.pass_time(60.0)
    assert not talk.said("heartbeat")[-1].draining
    assert talk.said("heartbeat")[-1].leaving == ""


def test_a_shutdown_message_ends_it_with_its_code(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    (talk.path / "shutdown_message").write_text("300 No more work available from task queue\n")
    message = the_end(talk)
    assert (message.code, message.reason) == (300, "No more work available from task queue")


def test_a_message_may_say_anything(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    (talk.path / "shutdown_message").write_text("700 100 % of %s failed: %d\n")
    assert the_end(talk).reason == "100 % of %s failed: %d"


def test_told_to_halt_it_still_says_what_the_message_says(talk: Conversation) -> None:
    start_job(talk)
    (talk.path / "shutdown_message").write_text("500 Problem detected with environment\n")
    talk.manager.action = VmAction.HALT
    message = the_end(talk)
    assert (message.code, message.reason) == (500, "told to halt")


def test_told_to_halt_without_a_message_is_the_hosts_wish(talk: Conversation) -> None:
    talk.manager.action = VmAction.HALT
    assert the_end(talk).code == 100
    assert talk.agent.power_off


def test_past_its_life_it_takes_no_more_jobs_and_ends(talk: Conversation) -> None:
    talk.manager.lifetime_left = lambda: 1500.0 - talk.now
    start_job(talk)
    talk.pass_time(600.0)
    assert talk.supervisor.stopped == []
    assert "lived" in talk.said("heartbeat")[-1].leaving
    talk.supervisor.end(1)
    assert the_end(talk).code == 200


def test_how_long_it_lives_is_what_was_said_last(talk: Conversation) -> None:
    talk.manager.lifetime_left = lambda: 100.0
    talk.until(lambda: len(talk.said("heartbeat")) == 1)
    talk.manager.lifetime_left = lambda: None
    talk.pass_time(1000.0)
    assert talk.said("heartbeat")[-1].leaving == ""


def test_a_life_that_is_longer_now_is_so_for_the_next_agent(talk: Conversation) -> None:
    talk.manager.lifetime_left = lambda: 2000.0
    talk.until(lambda: bool(talk.said("heartbeat")))
    talk.manager.lifetime_left = lambda: None
    talk.pass_time(70.0)
    talk.manager.stop()
    again = Conversation(talk.manager, talk.path, wall=talk.wall + 3000.0)
    again.pass_time(20.0)
    assert not any("lived as long" in line for line in again.log)


def test_its_site_may_end_its_life(talk: Conversation) -> None:
    (talk.path / "site").mkdir()
    (talk.path / "site" / "shutdowntime").write_text(str(talk.wall + talk.now + 300))
    began = talk.now
    assert the_end(talk).code == 200
    assert 300.0 <= talk.now - began < 320.0


def test_without_its_manager_an_idle_vm_ends_by_itself(talk: Conversation) -> None:
    talk.manager.rules["contact_deadline"] = 900.0
    talk.until(lambda: bool(talk.said("match")))
    heard = talk.now
    talk.manager.stop()
    assert talk.to_its_end() == 0
    assert 900.0 <= talk.now - heard < 930.0
    assert talk.agent.power_off
    assert any("has not been heard" in line for line in talk.log)


@pytest.mark.parametrize("status", [401, 403, 503])
def test_an_answer_that_is_no_good_is_no_contact(talk: Conversation, status: int) -> None:
    talk.manager.rules["contact_deadline"] = 900.0
    talk.until(lambda: bool(talk.said("match")))
    for route in ("heartbeat", "match", "halting", "log"):
        talk.manager.script[route] = [Reply(status)] * 1000
    assert talk.to_its_end() == 0
    assert talk.said("halting")[0].code == 600


def test_a_vm_that_never_registers_ends_by_itself(talk: Conversation) -> None:
    talk.manager.script["register"] = [Reply(401)] * 1000
    began = talk.now
    assert talk.to_its_end(within=8000.0) == 0
    assert 7200.0 <= talk.now - began < 7300.0
    assert talk.agent.power_off


@pytest.mark.slow
def test_without_its_manager_a_job_goes_on_and_its_result_is_kept(talk: Conversation) -> None:
    talk.manager.rules["contact_deadline"] = 900.0
    start_job(talk)
    heard = talk.now
    talk.manager.stop()
    talk.pass_time(5000.0)
    talk.supervisor.end(1)
    talk.pass_time(5000.0)
    assert talk.agent._delivery.waiting
    assert talk.to_its_end(within=RESULTS_PATIENCE + 3600.0) == 0
    assert RESULTS_PATIENCE <= talk.now - heard < RESULTS_PATIENCE + 100.0


def test_terminated_by_a_signal_it_leaves_the_power_on(talk: Conversation) -> None:
    talk.until(lambda: bool(talk.said("match")))
    talk.agent.finish("terminated by signal", power_off=False)
    assert the_end(talk).code == 100
    assert not talk.agent.power_off


def test_an_instance_of_another_agent_is_powered_off(talk: Conversation) -> None:
    talk.manager.script["register"] = [Reply(409)]
    assert talk.to_its_end() == 3
    assert talk.agent.power_off


def test_the_machine_is_described_to_jobs(talk: Conversation, tmp_path: Path) -> None:
    talk.manager.memory_mb, talk.manager.lifetime_left = 4000, lambda: 5000.0
    talk.until(lambda: bool(talk.said("heartbeat")))
    (talk.path / "site").mkdir()
    (talk.path / "site" / "hs06").write_text("40\n")
    talk.pass_time(20.0)
    start_job(talk)
    machine = {path.name: path.read_text().strip() for path in (tmp_path / "machinefeatures").iterdir()}
    [running] = talk.supervisor.running.values()
    assert machine.pop("shutdowntime").startswith("1800")
    assert machine == {"total_cpu": "2", "grace_secs": "0", "hs06": "40"}
    assert running.environment == {"MACHINEFEATURES": str(tmp_path / "machinefeatures")}
    assert running.features["max_rss_bytes"] == str(2000 * 2**20)
    assert (running.features["job_id"], running.features["hs06_job"]) == ("1", "20")
