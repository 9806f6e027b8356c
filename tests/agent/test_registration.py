"""The VM becomes known to its manager, and a later agent is the same VM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.conversation import NONCE, Conversation, start_job
from tests.agent.scripted_manager import Reply, ScriptedManager

pytestmark = pytest.mark.slow


def test_too_early_is_tried_again_when_the_manager_says(talk: Conversation) -> None:
    talk.manager.script["register"] = [Reply(425, headers={"Retry-After": "7"})] * 2
    talk.until(lambda: "heartbeat" in talk.routes())
    assert talk.moments("register") == [0.0, 7.0, 14.0]
    assert {call.nonce for call in talk.said("register")} == {NONCE}


@pytest.mark.parametrize("status", [0, 401, 403, 404, 429, 500, 503])
def test_registering_is_tried_again(talk: Conversation, status: int) -> None:
    talk.manager.script["register"] = [Reply(status)] * 3
    talk.until(lambda: "heartbeat" in talk.routes())
    assert talk.moments("register") == [0.0, 0.5, 1.5, 3.5]


def test_who_starts_again_goes_on_with_its_token(manager: ScriptedManager, tmp_path: Path) -> None:
    first = Conversation(manager, tmp_path)
    manager.renewed_token = "token-2"
    manager.rules["contact_deadline"] = 900.0
    first.until(lambda: bool(first.said("match")))
    again = Conversation(manager, tmp_path)
    manager.calls.clear()
    again.until(lambda: bool(again.said("match")))
    assert again.routes() == ["heartbeat", "match"]
    assert [call.token for call in manager.calls] == ["token-2", "token-2"]
    assert again.agent._rules.contact_deadline == 900.0


def test_an_agent_that_starts_again_knows_when_its_life_ends(talk: Conversation) -> None:
    """Also without its manager, and from its first look on: jobs plan with it."""
    talk.manager.lifetime_left = lambda: 5000.0 - (talk.now - 1000.0)
    talk.until(lambda: bool(talk.said("heartbeat")))
    announced = [(talk.path / "machinefeatures" / "shutdowntime").read_text()]
    talk.manager.lifetime_left = lambda: None
    talk.manager.script["heartbeat"] = [Reply(503)] * 1000
    # The agent's clock begins anew, the time of day goes on.
    again = Conversation(talk.manager, talk.path, wall=talk.wall + 4900.0)
    again.agent.step()
    announced.append((talk.path / "machinefeatures" / "shutdowntime").read_text())
    assert announced[0] == announced[1]
    start_job(again)
    again.until(lambda: any("lived as long" in line for line in again.log), within=200.0)
    assert 1100.0 <= again.now < 1120.0


def test_what_is_kept_is_written_again_only_if_it_has_changed(talk: Conversation) -> None:
    begin, late = talk.now, [0.0]
    talk.manager.lifetime_left = lambda: 90_000.0 - (talk.now - begin) - late[0]
    talk.until(lambda: bool(talk.said("heartbeat")))
    file = talk.path / "session.json"
    first = file.stat().st_ino, file.read_text()
    late[0] = 20.0  # an answer that took long
    talk.pass_time(600.0)
    assert (file.stat().st_ino, file.read_text()) == first
    late[0] = 200.0
    talk.pass_time(60.0)
    assert file.read_text() != first[1]
