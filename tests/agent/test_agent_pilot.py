"""A pilot works beside the agent: its jobs are counted, and it is kept from more while the VM drains."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.conversation import Conversation
from tests.agent.scripted_manager import Reply, ScriptedManager
from vmdirac.agent.foreign_pilot import SETTLING
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.manager.vm_messages import VmAction

pytestmark = pytest.mark.slow


@pytest.fixture
def talk(manager: ScriptedManager, tmp_path: Path) -> Conversation:
    manager.rules |= {"job_wrappers_location": str(tmp_path / "scratch"), "pilot_stop_file": str(tmp_path / "pilot")}
    (tmp_path / "scratch" / "jobAgent-1").mkdir(parents=True)
    return Conversation(manager, tmp_path)


def job(talk: Conversation) -> Path:
    return talk.path / "scratch" / "jobAgent-1" / "1.jdl"


def test_its_jobs_are_told_and_none_is_asked_for(talk: Conversation) -> None:
    job(talk).touch()
    talk.pass_time(100.0)
    job(talk).unlink()
    talk.pass_time(100.0)
    assert talk.said("match") == []
    heartbeats = talk.said("heartbeat")
    assert [message.foreign_jobs for message in heartbeats] == [1, 1, 0, 0]
    assert [message.busy_processors for message in heartbeats] == [1, 1, 0, 0]


def test_a_drain_is_acknowledged_when_it_takes_no_more(talk: Conversation) -> None:
    job(talk).touch()
    talk.until(lambda: bool(talk.said("heartbeat")))
    talk.manager.action = VmAction.DRAIN
    talk.until((talk.path / "pilot").exists)
    stopped = talk.now
    talk.until(lambda: talk.said("heartbeat")[-1].draining)
    assert SETTLING <= talk.now - stopped < SETTLING + 70.0
    job(talk).unlink()
    talk.pass_time(70.0)
    assert (talk.said("heartbeat")[-1].draining, talk.said("heartbeat")[-1].foreign_jobs) == (True, 0)


def test_a_drain_that_is_cancelled_lets_it_work_again(talk: Conversation) -> None:
    talk.manager.action = VmAction.DRAIN
    talk.until(lambda: bool(talk.said("heartbeat")) and talk.said("heartbeat")[-1].draining)
    talk.manager.action = VmAction.WORK
    talk.pass_time(130.0)
    assert not (talk.path / "pilot").exists()
    assert not talk.said("heartbeat")[-1].draining


def test_an_agent_that_starts_again_in_a_drain_leaves_the_stop_file(talk: Conversation) -> None:
    """It does not know that it drains before the manager has told it, and that may take long."""
    talk.manager.action = VmAction.DRAIN
    talk.until(lambda: bool(talk.said("heartbeat")) and talk.said("heartbeat")[-1].draining)
    talk.manager.script["heartbeat"] = [Reply(503)] * 5
    heard = len(talk.said("heartbeat"))
    again = Conversation(talk.manager, talk.path)
    seen: set[bool] = set()

    def drains_again() -> bool:
        seen.add((talk.path / "pilot").exists())
        return len(talk.said("heartbeat")) > heard + 6 and talk.said("heartbeat")[-1].draining

    again.until(drains_again)
    assert seen == {True}


def test_an_agent_that_starts_again_after_a_drain_lets_it_work(talk: Conversation) -> None:
    talk.manager.action = VmAction.DRAIN
    talk.until(lambda: bool(talk.said("heartbeat")) and talk.said("heartbeat")[-1].draining)
    talk.manager.action = VmAction.WORK
    again = Conversation(talk.manager, talk.path)
    again.until(lambda: not (talk.path / "pilot").exists(), within=5.0)


def test_its_message_ends_the_vm_once_it_has_no_job(talk: Conversation) -> None:
    job(talk).touch()
    talk.until(lambda: bool(talk.said("heartbeat")))
    (talk.path / "shutdown_message").write_text("300 No more work available\n")
    talk.pass_time(1000.0)
    assert talk.said("heartbeat")[-1].leaving == "No more work available"
    job(talk).unlink()
    assert talk.to_its_end() == 0
    assert talk.said("halting")[0].code == 300


def test_its_jobs_keep_a_vm_alive_that_nobody_hears(talk: Conversation) -> None:
    talk.manager.rules["contact_deadline"] = 900.0
    job(talk).touch()
    talk.until(lambda: bool(talk.said("heartbeat")))
    talk.manager.stop()
    talk.pass_time(10000.0)
    job(talk).unlink()
    assert talk.to_its_end() == 0


def test_it_is_told_what_it_may_use(talk: Conversation) -> None:
    talk.manager.memory_mb = 4000
    talk.pass_time(20.0)
    features = {path.name: path.read_text().strip() for path in (talk.path / "jobfeatures").iterdir()}
    assert (features["allocated_cpu"], features["max_rss_bytes"]) == ("2", str(4000 * 2**20))
    assert features["cpu_limit_secs"] == "2000"


class PodsPilot:
    """The side of the pod's pilot: it waits, begins if it may, and lives until a test ends it."""

    def __init__(self, path: Path) -> None:
        self._place = PilotPlace(str(path / "pilot-place"))
        self._lock = self._place.enter()
        self.told: dict[str, str] | None = None

    def begins(self) -> bool:
        self.told = self.told or self._place.begin()
        return self.told is not None

    def end(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


class TestThePodsPilot:
    """Nothing is known of its jobs, but whether it lives."""

    @pytest.fixture
    def talk(self, manager: ScriptedManager, tmp_path: Path) -> Conversation:
        return Conversation(manager, tmp_path)

    @pytest.fixture
    def pilot(self, tmp_path: Path) -> Iterator[PodsPilot]:
        pilot = PodsPilot(tmp_path)
        yield pilot
        pilot.end()

    def test_a_vm_whose_pilot_lives_is_not_idle(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.until(pilot.begins)
        talk.pass_time(1000.0)
        heartbeats = talk.said("heartbeat")[1:]
        assert {(message.foreign_jobs, message.busy_processors) for message in heartbeats} == {(1, 1)}
        pilot.end()
        talk.pass_time(70.0)
        assert (talk.said("heartbeat")[-1].foreign_jobs, talk.said("heartbeat")[-1].busy_processors) == (0, 0)

    def test_jobs_are_taken_beside_it(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.until(pilot.begins)
        talk.until(lambda: bool(talk.said("match")))

    def test_its_drain_is_acknowledged_when_it_has_ended(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.until(pilot.begins)
        talk.manager.action = VmAction.DRAIN
        talk.pass_time(10_000.0)
        assert not any(message.draining for message in talk.said("heartbeat"))
        pilot.end()
        talk.pass_time(70.0)
        assert (talk.said("heartbeat")[-1].draining, talk.said("heartbeat")[-1].foreign_jobs) == (True, 0)

    def test_one_that_has_not_begun_does_not_while_the_vm_drains(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.manager.script["register"] = [Reply(500)] * 3
        talk.manager.action = VmAction.DRAIN
        talk.until(lambda: bool(talk.said("heartbeat")) and talk.said("heartbeat")[-1].draining)
        assert not pilot.begins()
        talk.manager.action = VmAction.WORK
        talk.until(pilot.begins)

    def test_one_that_waits_does_not_begin_when_the_agent_starts_again(
        self, talk: Conversation, pilot: PodsPilot
    ) -> None:
        talk.manager.action = VmAction.DRAIN
        talk.until(lambda: bool(talk.said("heartbeat")) and talk.said("heartbeat")[-1].draining)
        talk.manager.script |= {"heartbeat": [Reply(503)] * 5, "match": [Reply(503)] * 5}
        again = Conversation(talk.manager, talk.path)
        begun: list[bool] = []

        def has_drained() -> bool:
            begun.append(pilot.begins())
            return again.now > 1000.0 and talk.said("heartbeat")[-1].draining

        heard = len(talk.said("heartbeat"))
        again.until(lambda: has_drained() and len(talk.said("heartbeat")) > heard + 6)
        assert not any(begun)
        talk.manager.action = VmAction.WORK
        again.until(pilot.begins)

    def test_it_keeps_a_vm_alive_that_nobody_hears(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.manager.rules["contact_deadline"] = 900.0
        talk.until(pilot.begins)
        talk.manager.stop()
        talk.pass_time(10000.0)
        pilot.end()
        assert talk.to_its_end() == 0

    def test_it_keeps_a_vm_alive_past_its_life(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.manager.lifetime_left = lambda: 1500.0 - talk.now
        talk.until(pilot.begins)
        talk.pass_time(10000.0)
        assert "lived" in talk.said("heartbeat")[-1].leaving
        pilot.end()
        assert talk.to_its_end() == 0

    def test_with_a_stop_file_it_is_asked_to_end(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.manager.rules["pilot_stop_file"] = str(talk.path / "pilot")
        talk.until(pilot.begins)
        talk.manager.action = VmAction.DRAIN
        talk.until(lambda: talk.said("heartbeat")[-1].draining)
        assert (talk.path / "pilot").exists()
        assert talk.said("heartbeat")[-1].foreign_jobs == 1

    def test_it_keeps_the_power_on_where_another_agent_is_registered(
        self, talk: Conversation, pilot: PodsPilot
    ) -> None:
        talk.until(pilot.begins)
        (talk.path / "session.json").unlink()
        talk.manager.script["register"] = [Reply(409)]
        again = Conversation(talk.manager, talk.path)
        assert again.to_its_end() == 3
        assert not again.agent.power_off

    def test_it_begins_when_the_vm_has_registered(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.manager.script["register"] = [Reply(503)] * 5
        talk.until(pilot.begins)
        assert talk.routes()[:6] == ["register"] * 6
        assert pilot.told == {
            "MACHINEFEATURES": str(talk.path / "machinefeatures"),
            "JOBFEATURES": str(talk.path / "jobfeatures"),
        }
        assert (talk.path / "jobfeatures" / "allocated_cpu").read_text() == "2\n"

    def test_one_that_comes_between_two_looks_knows_what_it_may_use(self, talk: Conversation) -> None:
        """It is let begin before each heartbeat too, and reads what it may use at once."""
        talk.until(lambda: bool(talk.said("heartbeat")))
        talk.agent._sense_at = 1e9
        late = PodsPilot(talk.path)
        try:
            talk.until((talk.path / "pilot-place" / "go").exists)
            assert (talk.path / "jobfeatures" / "allocated_cpu").read_text() == "2\n"
        finally:
            late.end()

    def test_its_beginning_is_not_that_of_a_later_agent(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.until(pilot.begins)
        began = (talk.path / "jobfeatures" / "jobstart_secs").read_text()
        again = Conversation(talk.manager, talk.path, wall=talk.wall + 500.0)
        again.pass_time(20.0)
        assert (talk.path / "jobfeatures" / "jobstart_secs").read_text() == began

    def test_credentials_that_its_pod_has_only_now_are_waited_for_also_by_a_later_agent(
        self, talk: Conversation, pilot: PodsPilot
    ) -> None:
        talk.manager.script["credentials"] = [Reply(503)] * 100
        talk.manager.pod_has_credentials = True
        talk.until(lambda: bool(talk.said("credentials")))
        pilot.begins()
        pilot.end()
        talk.manager.script["heartbeat"] = [Reply(503)] * 5
        waits = PodsPilot(talk.path)
        again = Conversation(talk.manager, talk.path)
        again.until(lambda: again.routes().count("credentials") > 2)
        assert not waits.begins()
        waits.end()

    def test_it_begins_when_the_credentials_are_there(self, talk: Conversation, pilot: PodsPilot) -> None:
        talk.manager.rules["credentials"] = True
        content = base64.b64encode(b"the proxy").decode()
        proxy = {"name": "proxy", "environment": "X509_USER_PROXY", "content": content, "version": "v1"}
        talk.manager.credentials = {"credentials": [proxy], "removed": [], "next_in": 300.0}
        talk.manager.script["credentials"] = [Reply(503)] * 5
        talk.until(lambda: len(talk.said("credentials")) == 5)
        assert not pilot.begins()
        talk.until(pilot.begins)
        assert pilot.told is not None
        assert Path(pilot.told["X509_USER_PROXY"]).read_bytes() == b"the proxy"
