"""Results reach the manager, whatever happens to it; and only what is still ours."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.agent.conversation import Conversation, HangingLine, start_job
from tests.agent.scripted_manager import Reply, ScriptedManager, job
from vmdirac.agent.delivery import MOST
from vmdirac.agent.job import Job
from vmdirac.agent.job_users import JobUser, JobUsers
from vmdirac.manager.body_limit import SMALL
from vmdirac.manager.vm_messages import HeartbeatRequest

pytestmark = pytest.mark.slow


def test_heartbeat_holds_leases_until_their_result_is_delivered(talk: Conversation) -> None:
    start_job(talk, 1)
    start_job(talk, 2)
    talk.manager.script["finish"] = [Reply(500)] * 7
    talk.supervisor.end(1)
    talk.pass_time(61.0)
    heartbeat = talk.said("heartbeat")[-1]
    assert {(held.job, held.lease) for held in heartbeat.jobs} == {(1, "lease-1"), (2, "lease-2")}
    assert heartbeat.busy_processors == 1
    talk.pass_time(300.0)
    assert [held.job for held in talk.said("heartbeat")[-1].jobs] == [2]


def test_a_result_is_delivered_whatever_time_it_takes(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.script["finish"] = [Reply(status) for status in [0, 401, 404, 429, 500, 503] * 20]
    talk.supervisor.end(1, 5)
    talk.pass_time(8000.0)
    assert len(talk.said("finish")) == 121
    assert {finish.exit_code for finish in talk.said("finish")} == {5}
    assert talk.manager.leases == set()
    pauses = [b - a for a, b in zip(talk.moments("finish"), talk.moments("finish")[1:], strict=False)]
    assert pauses[:8] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert max(pauses) == 60.0


def test_what_cannot_be_read_for_an_hour_is_left_out(talk: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = Job.result

    def fails(job: Job) -> object:
        if job.exit_code != os.EX_IOERR:
            raise OSError(5, "Input/output error")
        return reads(job)

    monkeypatch.setattr(Job, "result", fails)
    start_job(talk)
    talk.supervisor.end(1)
    talk.pass_time(3500.0)
    assert talk.said("finish") == []
    talk.pass_time(200.0)
    (finish,) = talk.said("finish")
    assert (finish.exit_code, "Input/output error" in finish.message) == (os.EX_IOERR, True)


def test_a_disk_that_is_there_again_within_the_hour_costs_nothing(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Job) -> object:
        raise OSError(5, "Input/output error")

    start_job(talk)
    talk.supervisor.end(1)
    with monkeypatch.context() as broken:
        broken.setattr(Job, "result", fails)
        talk.pass_time(3500.0)
    talk.pass_time(100.0)
    assert [(finish.exit_code, finish.message) for finish in talk.said("finish")] == [(0, "")]


def test_a_user_that_cannot_be_cleared_keeps_back_no_result(
    talk: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[str]()

    def refuse(step: str) -> None:
        tried.append(step)
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(JobUsers, "give_back", lambda *_: refuse("the user"))
    monkeypatch.setattr(Job, "take_back", lambda _: refuse("the files"))
    start_job(talk)
    (running,) = talk.supervisor.running.values()
    running.user = JobUser("vmdirac-job1", 900, 900)
    talk.supervisor.end(1)
    talk.until(lambda: talk.manager.leases == set())
    assert tried == ["the user", "the files"]
    assert len([line for line in talk.log if "cannot be cleared" in line]) == 2


def test_one_result_that_fails_does_not_keep_back_others(talk: Conversation) -> None:
    start_job(talk, 1)
    start_job(talk, 2)
    talk.manager.script["finish"] = [Reply(500)]
    talk.supervisor.end(1)
    talk.supervisor.end(2)
    talk.until(lambda: talk.manager.leases == set())
    assert [call.job for call in talk.manager.calls if call.route == "finish"] == [1, 2, 1]


def test_a_late_result_is_only_noted(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.accepts = False
    talk.supervisor.end(1)
    talk.pass_time(120.0)
    assert len(talk.said("finish")) == 1
    assert talk.said("heartbeat")[-1].jobs == []
    assert any("too late" in line for line in talk.log)


@pytest.mark.parametrize("status", [413, 422])
def test_a_result_that_is_too_large_is_sent_without_files(talk: Conversation, status: int) -> None:
    start_job(talk)
    talk.manager.script["finish"] = [Reply(status)]
    talk.supervisor.end(1, 5)
    talk.until(lambda: talk.manager.leases == set())
    finish = talk.said("finish")[-1]
    assert (finish.exit_code, finish.files) == (5, [])
    assert "too large or invalid" in finish.message


def test_a_refusal_counts_only_while_the_token_is_good(talk: Conversation) -> None:
    start_job(talk)
    talk.pass_time(10.0)
    talk.manager.tokens.clear()
    talk.manager.script["finish"] = [Reply(413)] * 10
    talk.pass_time(60.0)
    talk.supervisor.end(1)
    talk.pass_time(60.0)
    assert len(talk.said("finish")) > 4
    talk.manager.tokens.add("token-1")
    talk.manager.script["finish"] = []
    talk.until(lambda: talk.manager.leases == set())
    assert talk.said("finish")[-1].message == ""


def test_a_result_that_never_will_be_taken_is_given_up(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.script["finish"] = [Reply(422)] * 2
    talk.supervisor.end(1)
    talk.pass_time(120.0)
    assert len(talk.said("finish")) == 2
    assert talk.said("heartbeat")[-1].jobs == []


def test_a_job_that_cannot_start_is_reported(talk: Conversation) -> None:
    talk.manager.waiting = [job(1, "cannot start")]
    talk.until(lambda: bool(talk.said("finish")))
    assert talk.said("finish")[0].exit_code == 127


def test_a_lease_that_is_held_is_not_started_again(talk: Conversation) -> None:
    talk.manager.waiting = [job(1, "run"), job(1, "run")]
    talk.until(lambda: len(talk.said("match")) == 2)
    assert len(talk.supervisor.running) == 1


def test_a_lost_lease_ends_its_job_and_is_forgotten(talk: Conversation) -> None:
    start_job(talk, 1)
    start_job(talk, 2)
    talk.manager.lost = ["lease-1", "unknown"]
    talk.until(lambda: talk.supervisor.stopped == [1])
    talk.manager.lost = []
    talk.pass_time(60.0)
    assert talk.said("finish") == []
    assert [held.job for held in talk.said("heartbeat")[-1].jobs] == [2]


def test_a_lost_lease_ends_the_tries_to_deliver(talk: Conversation) -> None:
    start_job(talk)
    talk.manager.script["finish"] = [Reply(500)] * 100
    talk.supervisor.end(1)
    talk.pass_time(30.0)
    talk.manager.lost = ["lease-1"]
    talk.pass_time(60.0)
    tried = len(talk.said("finish"))
    talk.pass_time(600.0)
    assert len(talk.said("finish")) == tried
    assert talk.said("heartbeat")[-1].jobs == []


def test_a_result_that_hangs_keeps_back_nothing_else(manager: ScriptedManager, tmp_path: Path) -> None:
    line = HangingLine()
    talk = Conversation(manager, tmp_path, delivery=line)
    start_job(talk)
    talk.supervisor.end(1)
    talk.pass_time(180.0)
    start_job(talk, 2)
    assert talk.moments("heartbeat")[:4] == [0.0, 60.0, 120.0, 180.0]
    assert talk.said("finish") == []


def test_a_lease_that_is_lost_while_its_result_is_sent_is_forgotten(manager: ScriptedManager, tmp_path: Path) -> None:
    line = HangingLine()
    talk = Conversation(manager, tmp_path, delivery=line)
    start_job(talk)
    talk.supervisor.end(1)
    talk.pass_time(61.0)
    manager.lost = ["lease-1"]
    talk.pass_time(120.0)
    assert talk.said("heartbeat")[-1].jobs == []
    manager.script["finish"] = [Reply(500)]
    line.go_on()
    talk.pass_time(600.0)
    assert len(talk.said("finish")) == 1
    assert not line.busy


def test_a_processor_is_free_while_the_result_is_still_on_its_way(manager: ScriptedManager, tmp_path: Path) -> None:
    talk = Conversation(manager, tmp_path, delivery=HangingLine())
    start_job(talk, 1)
    talk.pass_time(30.0)
    manager.waiting = [job(2, "run")]
    talk.supervisor.end(1)
    talk.until(lambda: bool(talk.supervisor.running), within=0.0)
    assert talk.said("finish") == []


def test_asks_for_work_again_when_the_manager_has_the_result(talk: Conversation) -> None:
    """It may count a job's processor as taken until then."""
    talk.manager.processors = 1
    start_job(talk, 1)
    talk.manager.script["finish"] = [Reply(500)]
    talk.supervisor.end(1)
    talk.until(lambda: len(talk.said("finish")) == 1 and len(talk.said("match")) == 2)
    talk.manager.waiting = [job(2, "run")]
    talk.until(lambda: bool(talk.supervisor.running), within=0.5)
    assert talk.moments("match")[-1] == talk.moments("finish")[-1]


def test_while_many_results_wait_no_more_jobs_are_taken(talk: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its heartbeat is too large for the manager one day, and the VM ends as a silent one, with all of them."""
    monkeypatch.setattr("vmdirac.agent.delivery.MOST", 3)
    talk.manager.script["finish"] = [Reply(500)] * 1000
    for number in (1, 2, 3):
        start_job(talk, number)
        talk.supervisor.end(number)
    talk.pass_time(10.0)
    matches = len(talk.said("match"))
    talk.pass_time(600.0)
    assert len(talk.said("match")) == matches
    assert len(talk.said("heartbeat")[-1].jobs) == 3
    talk.manager.script["finish"] = []
    start_job(talk, 4)


def test_what_may_wait_fits_into_a_heartbeat() -> None:
    jobs = [{"job": 2**62, "lease": "x" * 64}] * (MOST + 256)  # so many may be matched at once before it is full
    assert HeartbeatRequest.model_validate({"load": 0, "uptime": 0, "jobs": jobs})
    assert len(json.dumps(jobs)) < SMALL


def test_a_result_that_cannot_be_read_goes_without_what_the_job_left_in_the_end(talk: Conversation) -> None:
    """Otherwise a VM whose disk is broken would keep the job, and live, for ever."""
    start_job(talk)
    [running] = talk.supervisor.running.values()
    running._log = os.open(talk.path, os.O_RDONLY)  # to read from a directory is an error
    talk.supervisor.end(1)
    talk.pass_time(300.0)
    assert talk.said("finish") == []
    assert [held.job for held in talk.said("heartbeat")[-1].jobs] == [1]
    talk.until(lambda: bool(talk.said("finish")), within=2 * 3600.0)
    [finish] = talk.said("finish")
    assert finish.exit_code == os.EX_IOERR
    assert "Is a directory" in finish.message
    talk.pass_time(60.0)
    assert talk.said("heartbeat")[-1].jobs == []
