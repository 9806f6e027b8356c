"""What is needed to go on as the same VM."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from vmdirac.agent.session import Session, SessionFile

URL = "https://manager/vmdirac"
WITH_A_TOKEN_THAT_IS_NONE = '{"whose": {"url": "u", "instance": "i"}, "token": "a b", "answer": {}}'
SESSION = Session("token-1", {"heartbeat_period": 60.0})


def test_it_is_kept_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    kept = SessionFile(str(file), URL, "17")
    assert kept.read() is None
    kept.write(SESSION)
    kept.write(SESSION._replace(token="token-2"))
    assert kept.read() == SESSION._replace(token="token-2")
    kept.write(SESSION._replace(began=1.8e9, life_ends=1.8e9 + 5.5))
    assert kept.read() == SESSION._replace(began=1.8e9, life_ends=1.8e9 + 5.5)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_that_of_an_older_agent_says_less(tmp_path: Path) -> None:
    older = '{"whose": {"url": "u", "instance": "i"}, "token": "token-1", "answer": {"heartbeat_period": 60.0}}'
    (tmp_path / "session.json").write_text(older)
    assert SessionFile(str(tmp_path / "session.json"), "u", "i").read() == SESSION


@pytest.mark.parametrize(("url", "instance"), [(URL, "18"), ("https://other/vmdirac", "17")])
def test_that_of_another_instance_counts_for_nothing(tmp_path: Path, url: str, instance: str) -> None:
    SessionFile(str(tmp_path / "session.json"), URL, "17").write(SESSION)
    assert SessionFile(str(tmp_path / "session.json"), url, instance).read() is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"whose": 1', WITH_A_TOKEN_THAT_IS_NONE])
def test_a_broken_one_counts_for_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "session.json").write_text(text)
    assert SessionFile(str(tmp_path / "session.json"), "u", "i").read() is None
