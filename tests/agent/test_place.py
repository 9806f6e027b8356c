"""Nonce and lock: what belongs to the place where an agent runs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from vmdirac.agent import place
from vmdirac.agent.config import CannotStartError


def test_nonce_is_kept_and_only_for_its_owner(tmp_path: Path) -> None:
    nonce = place.read_nonce(str(tmp_path))
    assert place.read_nonce(str(tmp_path)) == nonce
    assert stat.S_IMODE((tmp_path / "nonce").stat().st_mode) == 0o600
    (tmp_path / "other").mkdir()
    assert place.read_nonce(str(tmp_path / "other")) != nonce


def test_a_second_agent_in_the_same_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "LOCK_TIMEOUT", 0.0)
    before = set(Path("/proc/self/fd").iterdir())
    place.lock(str(tmp_path))
    try:
        with pytest.raises(CannotStartError, match="another agent"):
            place.lock(str(tmp_path))
    finally:
        for descriptor in set(Path("/proc/self/fd").iterdir()) - before:
            if descriptor.exists() and descriptor.samefile(tmp_path / "lock"):
                os.close(int(descriptor.name))
