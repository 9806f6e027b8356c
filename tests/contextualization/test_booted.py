"""A rendered script with the real agent and a real pilot, on a disk that stands for a VM's."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.real_agent import running, wait_until
from tests.agent.scripted_manager import PATIENCE_S, SECRET, ScriptedManager, job
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates, agent_sha256, agent_source
from vmdirac.manager.vm_messages import VmAction

pytestmark = pytest.mark.slow


@pytest.fixture
def manager() -> Iterator[ScriptedManager]:
    scripted = ScriptedManager()
    scripted.agent = agent_source()
    yield scripted
    scripted.stop()
    assert scripted.refused == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Nothing that runs on it is left after the test."""
    disk = tmp_path / "disk"
    disk.mkdir()
    yield disk
    for pid in running(f"VMDIRAC_VM_DIRECTORY={disk}"):
        os.kill(pid, signal.SIGKILL)


def test_agent_and_pilot_work_side_by_side(manager: ScriptedManager, disk: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f'echo "$JOBFEATURES $(pwd)" > said; while [ ! -e {go} ]; do sleep 0.05; done; echo the end'
    boot = AgentBoot(manager.url, 17, agent_sha256(), pilot_command=("sh", "-c", script))
    text = UserDataTemplates(templates_folder()).render("cloudinit", boot).replace(PLACEHOLDER, SECRET)
    (tmp_path / "script").write_text(text)
    environment = {**os.environ, "VMDIRAC_VM_DIRECTORY": str(disk)}
    with (tmp_path / "console").open("wb") as console:
        vm = subprocess.Popen(["sh", str(tmp_path / "script")], env=environment, stdout=console, stderr=console)
    work = disk / "vmdirac" / "work"
    manager.wait_for(lambda: manager.said("heartbeat") and manager.said("heartbeat")[-1].foreign_jobs == 1)
    # Such processes of the agent's as are no job of its own are ended when it looks after its jobs.
    manager.waiting = [job(1, "true")]
    manager.wait_for(lambda: manager.result(1))
    wait_until((work / "said").exists, "what the pilot says")
    assert (work / "said").read_text() == f"{work}/jobfeatures {work}\n"
    heard = len(manager.said("heartbeat"))
    manager.wait_for(lambda: len(manager.said("heartbeat")) > heard + 1)
    assert manager.said("heartbeat")[-1].foreign_jobs == 1
    go.touch()
    manager.wait_for(lambda: manager.said("heartbeat")[-1].foreign_jobs == 0)
    with manager.changed:
        manager.action = VmAction.HALT
    assert vm.wait(PATIENCE_S) == 0
    assert b"the end\n" in manager.said("log")[0].log
    assert {path.name for path in (disk / "vmdirac" / "state").iterdir()} == {
        "lock",
        "nonce",
        "pilot",
        "session.json",
        "totals.json",
    }
