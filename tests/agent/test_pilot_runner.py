"""The pod's pilot, as a VM runs it: a process of its own beside the agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.real_agent import running, wait_until
from tests.agent.scripted_manager import PATIENCE_S
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.contextualization.user_data import agent_source

pytestmark = pytest.mark.slow

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def place(tmp_path: Path) -> PilotPlace:
    return PilotPlace(str(tmp_path / "state" / "pilot"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the pilot's side with a command. Nothing of it is left after the test."""
    program, config = tmp_path / "agent.py", tmp_path / "agent.json"
    program.write_bytes(agent_source())
    values = {"url": "https://manager/vmdirac", "instance": 17, "secret": "s" * 32}
    paths = {"work_directory": str(tmp_path / "work"), "state_directory": str(tmp_path / "state")}
    config.write_text(json.dumps({**values, **paths}))
    config.chmod(0o600)
    (tmp_path / "work").mkdir()
    mark = {"PILOTS_TEST": str(tmp_path)}

    def start(*command: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(program), "--pilot", str(config), *command]
        with (tmp_path / "console").open("ab") as console:
            return subprocess.Popen(words, env={**os.environ, **mark}, stdout=console, stderr=console)

    yield start
    for pid in running(f"PILOTS_TEST={tmp_path}"):
        os.kill(pid, signal.SIGKILL)


def let_begin(place: PilotPlace, **environment: str) -> None:
    wait_until(lambda: place.let_begin(environment), "a pilot that waits")


def test_it_begins_when_it_may_with_what_it_is_told(start: Start, place: PilotPlace, tmp_path: Path) -> None:
    pilot = start("sh", "-c", 'echo "$X509_USER_PROXY $0 $(pwd)" > said; exit 7', "it's")
    wait_until(place.here, "the pilot's side")
    assert not (tmp_path / "work" / "said").exists()
    let_begin(place, X509_USER_PROXY="/a/proxy")
    assert pilot.wait(PATIENCE_S) == 7
    assert (tmp_path / "work" / "said").read_text() == f"/a/proxy it's {tmp_path / 'work'}\n"
    assert not place.here()
    assert "exit code 7" in (tmp_path / "console").read_text()


def test_it_works_as_long_as_anything_that_it_started(start: Start, place: PilotPlace, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"(setsid sh -c 'while [ ! -e {go} ]; do sleep 0.05; done' &) ; exit 3"
    pilot = start("sh", "-c", script)
    let_begin(place)
    wait_until(lambda: "exit code 3" in (tmp_path / "console").read_text(), "the end of its first process")
    assert place.works()
    go.touch()
    assert pilot.wait(PATIENCE_S) == 3
    assert not place.works()


def test_it_is_seen_to_work_when_only_its_watcher_is_killed(start: Start, place: PilotPlace, tmp_path: Path) -> None:
    pilot = start("sh", "-c", "touch ready; sleep 1000")
    let_begin(place)
    wait_until((tmp_path / "work" / "ready").exists, "its start")
    pilot.kill()
    pilot.wait(PATIENCE_S)
    assert place.works()
    for pid in running(f"PILOTS_TEST={tmp_path}"):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not place.works(), "its end")


def test_it_is_told_to_end(start: Start, place: PilotPlace, tmp_path: Path) -> None:
    pilot = start("sh", "-c", "trap 'exit 5' TERM; touch ready; while :; do sleep 0.05; done")
    let_begin(place)
    wait_until((tmp_path / "work" / "ready").exists, "its start")
    pilot.terminate()
    assert pilot.wait(PATIENCE_S) == 5


def test_one_that_waits_ends_at_once(start: Start, place: PilotPlace) -> None:
    pilot = start("sleep", "1000")
    wait_until(place.here, "the pilot's side")
    pilot.terminate()
    assert pilot.wait(PATIENCE_S) == -signal.SIGTERM
    assert not place.here()


def test_a_program_that_is_not_there_ends_it(start: Start, place: PilotPlace, tmp_path: Path) -> None:
    pilot = start("/nowhere/pilot")
    let_begin(place)
    assert pilot.wait(PATIENCE_S) == 2
    assert "cannot start" in (tmp_path / "console").read_text()
    assert not place.works()
