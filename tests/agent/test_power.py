"""Switching the VM off."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vmdirac.agent.log import Log
from vmdirac.agent.power import power_off


def test_the_command_is_run(tmp_path: Path) -> None:
    said: list[bytes] = []
    power_off(["touch", str(tmp_path / "off")], Log(said.append))
    assert (tmp_path / "off").exists()
    assert len(said) == 1


@pytest.mark.parametrize("command", [["/nowhere/poweroff"], [sys.executable, "-c", "raise SystemExit(3)"]])
def test_that_it_failed_is_said(command: list[str]) -> None:
    said: list[bytes] = []
    power_off(command, Log(said.append))
    assert b"cannot power off" in said[-1]
