"""The real agent, a process of its own, under every Python that is installed."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from pathlib import Path

import pytest

from tests.agent.real_agent import RealAgent, interpreters, running, wait_until
from tests.agent.scripted_manager import SECRET, Call, Reply, ScriptedManager, job
from tests.agent.store_server import store_server
from vmdirac.agent.power import UNIT
from vmdirac.agent.update import digest_of
from vmdirac.contextualization.agent_program import AGENT_PACKAGE, joined_agent
from vmdirac.manager.vm_messages import VmAction

pytestmark = pytest.mark.slow

MEET = """
env; cat /proc/$PPID/cmdline | tr '\\0' ' '
touch $1; while [ ! -e $2 ]; do sleep 0.05; done; echo $3 > result; exit $3
"""
"""Two of these end only if both run at the same time."""


def jobs_held_while_draining(manager: ScriptedManager) -> list[int] | None:
    last = manager.said("heartbeat")[-1]
    return [held.job for held in last.jobs] if last.draining else None


@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda path: Path(path).resolve().name)
def test_the_whole_life_of_an_agent(
    manager: ScriptedManager, agent: RealAgent, tmp_path: Path, interpreter: str
) -> None:
    one, two, go = (str(tmp_path / name) for name in ("one", "two", "go"))
    manager.waiting = [
        job(1, "sh", "meet.sh", one, two, "0", files={"meet.sh": MEET.encode()}, output_files=["result"]),
        job(2, "sh", "meet.sh", two, one, "7", files={"meet.sh": MEET.encode()}, output_files=["result", "none"]),
        job(3, "sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done"),
    ]
    agent.start(interpreter)
    manager.wait_for(lambda: manager.result(1) and manager.result(2))
    with manager.changed:
        manager.action = VmAction.DRAIN
    manager.wait_for(lambda: jobs_held_while_draining(manager) == [3])
    Path(go).touch()
    manager.wait_for(lambda: jobs_held_while_draining(manager) == [])
    with manager.changed:
        manager.action = VmAction.HALT
    assert agent.ended() == 0

    assert len(manager.said("register")) == 1
    assert [message.reason for message in manager.said("halting")] == ["told to halt"]
    first, second, third = (manager.result(number) for number in (1, 2, 3))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.exit_code, second.exit_code, third.exit_code) == (0, 7, 0)
    assert [(file.name, file.content) for file in first.files] == [("result", b"0\n")]
    assert second.message == "missing output: none"
    assert manager.said("heartbeat")[-1].transferred_files == 2
    assert manager.said("heartbeat")[-1].transferred_bytes == 4
    assert agent.jobs_processes() == []
    assert list((agent.work_directory / "jobs").iterdir()) == []
    assert b"vmdirac_agent.py" in first.log
    nonce = manager.said("register")[0].nonce
    for text in (first.log.decode(), agent.log()):
        for secret in (SECRET, "token-1", nonce):
            assert secret not in text
    assert "Traceback" not in agent.log()
    assert "Warning" not in agent.log()


def test_ends_with_3_when_another_agent_is_registered(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.script["register"] = [Reply(425, headers={"Retry-After": "0"}), Reply(409)]
    agent.start()
    assert agent.ended() == 3


def test_ends_when_its_instance_is_over(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.waiting = [job(1, "sleep", "1000")]
    agent.start()
    manager.wait_for(lambda: manager.said("heartbeat") and manager.said("heartbeat")[-1].jobs)
    with manager.changed:
        manager.script["heartbeat"] = [Reply(410)]
    assert agent.ended() == 0
    assert agent.jobs_processes() == []
    assert manager.said("halting") == []


def test_a_plain_address_elsewhere_is_refused_with_a_message(agent: RealAgent) -> None:
    agent.start(url="http://manager.example.org/vmdirac")
    assert agent.ended() == 2
    assert "use https" in agent.log()


def test_an_outage_loses_no_result(manager: ScriptedManager, agent: RealAgent, tmp_path: Path) -> None:
    started, done = tmp_path / "started", tmp_path / "done"
    script = f"touch {started}; while [ ! -e {done} ]; do sleep 0.05; done; echo result > out"
    manager.waiting = [job(1, "sh", "-c", script, output_files=["out"])]
    agent.start()
    wait_until(started.exists, "the start of the job")
    manager.stop()
    done.touch()
    wait_until(lambda: agent.log().count("failed (0") >= 4, "some tries in vain")
    assert manager.result(1) is None
    manager.start()
    manager.wait_for(lambda: manager.result(1))
    result = manager.result(1)
    assert result is not None
    assert [file.content for file in result.files] == [b"result\n"]
    assert manager.leases == set()


def test_a_lost_lease_kills_all_of_its_job(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.waiting = [job(1, "sh", "-c", "sleep 1000 & setsid sleep 1000 & sleep 1000"), job(2, "sleep", "1000")]
    agent.start()
    wait_until(lambda: len(agent.jobs_processes()) == 5, "the start of the jobs")
    with manager.changed:
        manager.lost = ["lease-1"]
    wait_until(lambda: len(agent.jobs_processes()) == 1, "the end of the first job")
    count = len(manager.said("heartbeat"))
    manager.wait_for(lambda: len(manager.said("heartbeat")) > count)
    assert [held.job for held in manager.said("heartbeat")[-1].jobs] == [2]
    assert manager.said("finish") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_hands_back_the_jobs(manager: ScriptedManager, agent: RealAgent, number: int) -> None:
    alive = note_processes_at_halting(manager, agent)
    manager.waiting = [job(1, "sh", "-c", "sleep 1000 & sleep 1000"), job(2, "sleep", "1000")]
    agent.start()
    wait_until(lambda: len(agent.jobs_processes()) == 4, "the start of the jobs")
    os.kill(agent.pid, number)
    assert agent.ended() == 4
    assert [message.reason for message in manager.said("halting")] == ["terminated by signal"]
    assert alive == [[]]
    assert manager.said("finish") == []


def test_a_job_that_ignores_sigterm_is_killed_before_it_is_handed_back(
    manager: ScriptedManager, agent: RealAgent, tmp_path: Path
) -> None:
    alive = note_processes_at_halting(manager, agent)
    ready = tmp_path / "ready"
    manager.waiting = [job(1, "sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done")]
    agent.start()
    wait_until(ready.exists, "the start of the job")
    os.kill(agent.pid, signal.SIGTERM)
    assert agent.ended() == 4
    assert alive == [[]]


def note_processes_at_halting(manager: ScriptedManager, agent: RealAgent) -> list[list[int]]:
    """What of the jobs still runs each time the VM reports its end."""
    noted: list[list[int]] = []

    def note(call: Call) -> None:
        if call.route == "halting":
            noted.append(agent.jobs_processes())

    manager.before_answer = note
    return noted


def test_killed_with_its_group_it_leaves_nothing_and_comes_back_as_itself(
    manager: ScriptedManager, agent: RealAgent
) -> None:
    script = "sleep 1000 & (setsid sleep 1000 &) ; trap '' TERM HUP; sleep 1000"
    manager.waiting = [job(1, "sh", "-c", script)]
    agent.start()
    wait_until(lambda: len(agent.jobs_processes()) == 4, "the start of the job")
    assert len(agent.own_processes()) == 2
    agent.manager.wait_for(lambda: manager.said("heartbeat"))
    session = [pid for pid in agent.jobs_processes() if os.getsid(pid) != pid or os.getpgid(pid) != os.getsid(pid)]
    for pid in agent.own_processes():
        if pid != agent.pid:
            os.kill(pid, signal.SIGTERM)  # as whoever shuts down all of a VM does
    os.killpg(agent.pid, signal.SIGKILL)
    assert agent.ended() == -signal.SIGKILL
    assert session
    wait_until(lambda: not agent.own_processes(), "the end of the keeper")
    wait_until(lambda: not set(session) & set(agent.jobs_processes()), "the end of the job")

    assert len(list((agent.work_directory / "jobs").iterdir())) == 4
    manager.waiting = [job(2, "true")]
    agent.start()
    manager.wait_for(lambda: manager.result(2))
    assert len(manager.said("register")) == 1
    wait_until(lambda: not list((agent.work_directory / "jobs").iterdir()), "the removal of old files")


def another_agent(path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """An agent that differs from this one."""
    shutil.copytree(AGENT_PACKAGE, path, ignore=shutil.ignore_patterns("__pycache__"))
    main = path / "main.py"
    main.write_text(main.read_text().replace('log("agent %s', 'log("the other agent %s'))
    with monkeypatch.context() as patched:
        patched.setattr("vmdirac.contextualization.agent_program.AGENT_PACKAGE", path)
        return joined_agent()


@pytest.mark.parametrize("interpreter", interpreters(), ids=lambda path: Path(path).resolve().name)
def test_a_new_agent_goes_on_in_the_same_process_after_the_job(
    manager: ScriptedManager, agent: RealAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interpreter: str
) -> None:
    go = tmp_path / "go"
    manager.waiting = [job(1, "sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done")]
    agent.start(interpreter)
    wait_until(agent.jobs_processes, "the start of the job")
    with manager.changed:
        manager.agent = another_agent(tmp_path / "other", monkeypatch)
        manager.agent_sha256 = digest_of(manager.agent)
        heard = len(manager.said("heartbeat"))
    manager.wait_for(lambda: len(manager.said("heartbeat")) > heard + 3)
    assert manager.fetched == 0
    go.touch()
    manager.wait_for(lambda: manager.result(1))
    wait_until(lambda: "the other agent" in agent.log(), "the new agent")
    manager.waiting = [job(2, "true")]
    manager.wait_for(lambda: manager.result(2))
    with manager.changed:
        manager.action = VmAction.HALT
    assert agent.ended() == 0
    assert (len(manager.said("register")), len(manager.said("halting"))) == (1, 1)
    assert agent.log().count("goes on as the VM that had registered") == 1
    assert b"the other agent" in manager.said("log")[0].log
    assert not running("vmdirac_agent.py.new", "cmdline")


def test_one_that_does_not_understand_the_configuration_is_not_taken(
    manager: ScriptedManager, agent: RealAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be older than the VM."""
    other = another_agent(tmp_path / "other", monkeypatch)
    config = tmp_path / "other" / "config.py"
    config.write_text(config.read_text().replace("    logs: Tuple[str, ...] = ()\n", ""))
    with monkeypatch.context() as patched:
        patched.setattr("vmdirac.contextualization.agent_program.AGENT_PACKAGE", tmp_path / "other")
        manager.agent = joined_agent()
    assert manager.agent != other
    manager.agent_sha256 = digest_of(manager.agent)
    agent.start(logs=["/var/log/boot"])
    wait_until(lambda: "the new agent is not taken" in agent.log(), "the refusal")
    assert "the other agent" not in agent.log()
    manager.waiting = [job(1, "true")]
    manager.wait_for(lambda: manager.result(1))


def test_the_vm_is_powered_off_when_nobody_needs_it(manager: ScriptedManager, agent: RealAgent, tmp_path: Path) -> None:
    manager.action = VmAction.HALT
    agent.start(poweroff=["touch", str(tmp_path / "off")])
    assert agent.ended() == 0
    assert (tmp_path / "off").exists()


def test_the_vm_stays_on_when_its_agent_is_terminated(
    manager: ScriptedManager, agent: RealAgent, tmp_path: Path
) -> None:
    agent.start(poweroff=["touch", str(tmp_path / "off")])
    manager.wait_for(lambda: manager.said("heartbeat"))
    os.kill(agent.pid, signal.SIGTERM)
    assert agent.ended() == 4
    assert not (tmp_path / "off").exists()


def test_terminated_by_systemd_to_be_started_again_it_is_the_same_vm(
    manager: ScriptedManager, agent: RealAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho 17 vmdirac-agent.service restart running\n")
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv(UNIT, "vmdirac-agent.service")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    manager.waiting = [job(1, "sleep", "1000")]
    agent.start(poweroff=["touch", str(tmp_path / "off")])
    wait_until(agent.jobs_processes, "the start of the job")
    os.kill(agent.pid, signal.SIGTERM)
    assert agent.ended() == 4
    assert agent.jobs_processes() == []
    manager.waiting = [job(2, "true")]
    agent.start()
    manager.wait_for(lambda: manager.result(2))
    assert (len(manager.said("register")), manager.said("halting")) == (1, [])
    assert not (tmp_path / "off").exists()


def test_one_that_cannot_be_powered_off_is_no_end(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.action = VmAction.HALT
    agent.start(poweroff=["/nowhere/poweroff"])
    assert agent.ended() == 1


def test_a_job_sees_what_it_may_use_and_its_credentials(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.rules["credentials"] = True
    proxy = {"name": "proxy", "environment": "X509_USER_PROXY", "content": "VGhlIHByb3h5", "version": "1"}
    manager.credentials = {"credentials": [proxy], "removed": [], "next_in": 300.0}
    script = "cat $MACHINEFEATURES/total_cpu $JOBFEATURES/allocated_cpu $JOBFEATURES/cpu_limit_secs $X509_USER_PROXY"
    manager.waiting = [job(1, "sh", "-c", script, cpu_time=77)]
    agent.start()
    manager.wait_for(lambda: manager.result(1))
    result = manager.result(1)
    assert result is not None
    assert result.log == b"2\n1\n77\nThe proxy"


def test_a_pilot_goes_on_with_its_credentials_when_its_agent_is_killed(
    manager: ScriptedManager, agent: RealAgent, tmp_path: Path
) -> None:
    manager.rules["credentials"] = True
    proxy = {"name": "proxy", "environment": "X509_USER_PROXY", "content": "VGhlIHByb3h5", "version": "1"}
    manager.credentials = {"credentials": [proxy], "removed": [], "next_in": 300.0}
    seen, go = tmp_path / "seen", tmp_path / "go"
    script = f"""
    cat $MACHINEFEATURES/total_cpu $JOBFEATURES/allocated_cpu $X509_USER_PROXY > {seen}
    while [ ! -e {go} ]; do cat $X509_USER_PROXY > /dev/null || touch {tmp_path}/lost; sleep 0.01; done
    """
    agent.start()
    agent.start_pilot("sh", "-c", script)
    manager.wait_for(lambda: manager.said("heartbeat") and manager.said("heartbeat")[-1].foreign_jobs == 1)
    os.kill(agent.pid, signal.SIGKILL)
    agent.ended()
    manager.credentials = {"credentials": [], "removed": [], "next_in": 300.0}
    asked, heard = len(manager.said("credentials")), len(manager.said("heartbeat"))
    agent.start()
    manager.wait_for(lambda: len(manager.said("credentials")) > asked)
    manager.wait_for(lambda: len(manager.said("heartbeat")) > heard)
    assert manager.said("credentials")[-1].have == {"proxy": "1"}
    assert manager.said("heartbeat")[-1].foreign_jobs == 1
    assert seen.read_text() == "2\n2\nThe proxy"
    with manager.changed:
        manager.action = VmAction.DRAIN
        heard = len(manager.said("heartbeat"))
    manager.wait_for(lambda: len(manager.said("heartbeat")) > heard + 2)
    assert not manager.said("heartbeat")[-1].draining
    go.touch()
    manager.wait_for(lambda: manager.said("heartbeat")[-1].draining)
    assert manager.said("heartbeat")[-1].foreign_jobs == 0
    assert not (tmp_path / "lost").exists()


def test_jobs_have_as_many_open_files_as_the_agent_was_given(manager: ScriptedManager, agent: RealAgent) -> None:
    """It may have more itself: of each result that waits some stay open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    manager.waiting = [job(1, "sh", "-c", "ulimit -n")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        agent.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    manager.wait_for(lambda: manager.result(1))
    assert [result.log for result in manager.said("finish")] == [b"1024\n"]
    assert resource.prlimit(agent.pid, resource.RLIMIT_NOFILE)[0] == min(65536, hard)


def test_outputs_are_put_into_the_store_and_counted(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.rules["outputs_elsewhere"] = True
    script = "head -c 3000000 /dev/zero > $VMDIRAC_UPLOAD/large; printf x > $VMDIRAC_UPLOAD/small; printf y > named"
    manager.waiting = [job(1, "sh", "-c", script, output_files=["named"])]
    with store_server() as store:
        store.script = [503]
        manager.store_url = store.url
        agent.start()
        manager.wait_for(lambda: manager.result(1))
        assert {path: len(content) for path, content in store.files.items()} == {
            "/large?signature=secret": 3_000_000,
            "/small?signature=secret": 1,
        }
    manager.wait_for(lambda: manager.said("heartbeat")[-1].transferred_files == 3)
    assert manager.said("heartbeat")[-1].transferred_bytes == 3_000_002
    assert "signature" not in agent.log()
