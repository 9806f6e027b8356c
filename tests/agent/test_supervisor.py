"""What a job uses is limited and what it leaves is killed, whatever it does with its processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.real_agent import RealAgent, wait_until
from tests.agent.scripted_manager import ScriptedManager, job

pytestmark = pytest.mark.slow

SPIN = "while :; do :; done"


@pytest.mark.parametrize(
    ("cpu_time", "script"),
    [
        # Eight at once: together they are over the limit long before the system ends any of them.
        (2, f"for n in 1 2 3 4 5 6 7 8; do ({SPIN}) & done; wait; echo survived"),
        # One after the other, each of them short: only their parent's account shows them.
        (1, "while :; do sh -c 'n=0; while [ $n -lt 30000 ]; do n=$((n+1)); done'; done; echo survived"),
        # In sessions of their own, below a process that never asks how they ended.
        (2, f"for n in 1 2 3 4 5 6 7 8; do setsid sh -c '{SPIN}' & done; exec sleep 1000"),
        # Abandoned, in sessions of their own.
        (2, f"for n in 1 2 3 4 5 6 7 8; do (setsid sh -c '{SPIN}' &); done; sleep 1000; echo survived"),
    ],
    ids=["forks", "children", "sessions", "daemons"],
)
def test_the_cpu_limit_is_for_all_of_a_job(
    manager: ScriptedManager, agent: RealAgent, cpu_time: int, script: str
) -> None:
    manager.waiting = [job(1, "sh", "-c", script, cpu_time=cpu_time)]
    agent.start()
    manager.wait_for(lambda: manager.result(1))
    result = manager.result(1)
    assert result is not None
    assert result.exit_code == -15
    assert result.message == f"used up its CPU time of {cpu_time} s"
    assert result.log == b""
    assert result.cpu_seconds >= cpu_time
    assert agent.jobs_processes() == []


def test_a_job_that_says_it_succeeded_when_it_is_stopped_has_failed(manager: ScriptedManager, agent: RealAgent) -> None:
    script = f"trap 'exit 0' TERM; ({SPIN}) & ({SPIN}) & while :; do sleep 0.1; done"
    manager.waiting = [job(1, "sh", "-c", script, cpu_time=1)]
    agent.start()
    manager.wait_for(lambda: manager.result(1))
    result = manager.result(1)
    assert result is not None
    assert result.exit_code == -24
    assert result.message == "used up its CPU time of 1 s"


def test_nothing_is_left_of_a_job_that_ended(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.waiting = [job(1, "sh", "-c", "sleep 1000 & (setsid sleep 1000 &); (nohup sleep 1000 &); exit 3")]
    agent.start()
    manager.wait_for(lambda: manager.result(1))
    assert agent.jobs_processes() == []
    result = manager.result(1)
    assert result is not None
    assert result.exit_code == 3


def test_what_hides_whose_it_is_is_killed(manager: ScriptedManager, agent: RealAgent, tmp_path: Path) -> None:
    """A process in a session of its own, without the job's environment, whose parent is gone."""
    hidden = tmp_path / "hidden"
    orphan = f"env -i setsid sh -c 'echo $$ > {hidden}.new; mv {hidden}.new {hidden}; exec sleep 1000'"
    manager.waiting = [job(1, "sh", "-c", f"({orphan} &); sleep 1000"), job(2, "sleep", "1000")]
    agent.start()
    wait_until(hidden.exists, "the start of the orphan")
    wait_until(lambda: not Path("/proc", hidden.read_text().strip()).exists(), "the end of the orphan")
    assert len(agent.jobs_processes()) == 3


def test_other_jobs_go_on(manager: ScriptedManager, agent: RealAgent) -> None:
    manager.waiting = [
        job(1, "sh", "-c", f"({SPIN}) & ({SPIN}) & wait", cpu_time=1),
        job(2, "sh", "-c", "(setsid sleep 1000 &); sleep 1000"),
    ]
    agent.start()
    manager.wait_for(lambda: manager.result(1))
    assert len(agent.jobs_processes()) == 3
    assert manager.result(2) is None
