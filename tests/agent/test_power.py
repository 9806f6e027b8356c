"""Switching the VM off, and knowing whether somebody else does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vmdirac.agent.log import Log
from vmdirac.agent.power import UNIT, goes_down, power_off

JOBS = {
    "poweroff": "  1 poweroff.target start waiting\n 17 vmdirac-agent.service stop running\n",
    "halt": "1 halt.target start waiting\n",
    "reboot": "1 reboot.target start waiting\n17 vmdirac-agent.service stop running\n",
    "restart": "17 vmdirac-agent.service restart running\n",
    "stop": "17 vmdirac-agent.service stop running\n",
}
"""What systemd has to do, as it says it, when it terminates the agent."""


@pytest.fixture
def said() -> list[bytes]:
    return []


def test_the_command_is_run(tmp_path: Path, said: list[bytes]) -> None:
    assert power_off(["touch", str(tmp_path / "off")], Log(said.append))
    assert (tmp_path / "off").exists()
    assert len(said) == 1


@pytest.mark.parametrize("command", [["/nowhere/poweroff"], [sys.executable, "-c", "raise SystemExit(3)"]])
def test_that_it_failed_is_said(command: list[str], said: list[bytes]) -> None:
    assert not power_off(command, Log(said.append))
    assert b"cannot power off" in said[-1]


def systemctl(folder: Path, script: str) -> None:
    (folder / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "systemctl").chmod(0o755)


@pytest.mark.parametrize("what", JOBS)
def test_systemd_says_what_the_agent_is_terminated_for(
    what: str, tmp_path: Path, said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    systemctl(tmp_path, f"[ $1 = list-jobs ] && printf '{JOBS[what]}'")
    monkeypatch.setenv(UNIT, "vmdirac-agent.service")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert goes_down(Log(said.append)) == (what in {"poweroff", "halt"})
    assert said == []


@pytest.mark.parametrize("script", ["exit 1", None])
def test_a_vm_of_which_it_is_not_known_is_not_given_up(
    script: str | None, tmp_path: Path, said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if script:
        systemctl(tmp_path, script)
    monkeypatch.setenv(UNIT, "vmdirac-agent.service")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    assert not goes_down(Log(said.append))
    assert b"not known" in said[0]


def test_without_systemd_who_terminates_the_agent_means_the_vm(
    said: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(UNIT, raising=False)
    assert goes_down(Log(said.append))
