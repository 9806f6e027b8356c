"""``vmdirac plan``: what would be done, as things are and as they might be."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.cli.test_validate import CONFIGURED, SETTINGS
from tests.config.sources import GOOD_POD
from tests.fakes.clock import START
from vmdirac.cli import main
from vmdirac.model.requirements import Requirements
from vmdirac.store import queue
from vmdirac.store.database import Store
from vmdirac.store.queue import NewJob
from vmdirac.store.tables import Base


@pytest.fixture(autouse=True)
def _configured(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    for name, value in {**SETTINGS, **CONFIGURED}.items():
        monkeypatch.setenv(name, value)
    with store.write() as session:
        queue.submit(session, [NewJob("job", ("true",), Requirements(60))] * 3, START)


def contents(store: Store) -> dict[str, list[Any]]:
    with store.read() as session:
        return {name: list(session.execute(select(table))) for name, table in Base.metadata.tables.items()}


def test_says_what_a_tick_would_start_and_writes_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(store)
    assert main(["plan"]) == 0
    *decisions, total = capsys.readouterr().out.splitlines()
    assert decisions[0].startswith("pod on A: 3 to start: 3 waiting jobs can fill 3 more VMs")
    assert total == "a tick would start 3 VMs now"
    assert contents(store) == before


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json"]) == 0
    (decision,) = json.loads(capsys.readouterr().out)["decisions"]
    assert (decision["pod"], decision["planned"], decision["clipped_by"]) == ("pod", 3, None)
    assert decision["reasons"][0]["code"] == "demand"


@pytest.mark.parametrize("exported", [False, True])
def test_under_other_pods(tmp_path: Path, capsys: pytest.CaptureFixture[str], *, exported: bool) -> None:
    pods = {"other": {**GOOD_POD, "max_instances": 1}}
    file = tmp_path / "pods.json"
    file.write_text(json.dumps({"vmdirac_running_pods": pods} if exported else pods))
    assert main(["plan", "--pods", str(file)]) == 0
    said = capsys.readouterr().out
    assert "other on A: 1 to start" in said
    assert "the pod has 1 of at most 1 VMs" in said
    assert "a tick would start 1 VMs now" in said


def test_bad_pods_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pods.json"
    file.write_text(json.dumps({"pod": {**GOOD_POD, "max_instances": -1}}))
    assert main(["plan", "--pods", str(file)]) == 1
    said = capsys.readouterr().out
    assert "error: pod 'pod': max_instances:" in said
    assert "a tick would start 0 VMs now" in said


def test_as_if_vms_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--pod", "pod", "--vms", "5"]) == 0
    assert "pod on A: 5 to start: 5 VMs were asked for by hand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--pods", "/nowhere"], "/nowhere: it cannot be read"),
        (["--vms", "2"], "--vms needs --pod"),
        (["--pod", "podd"], "there is no pod 'podd' without errors; did you mean 'pod'?"),
    ],
)
def test_what_cannot_be_planned(capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str) -> None:
    assert main(["plan", *arguments]) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]", "{", "3"])
def test_files_that_hold_no_pods(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    file = tmp_path / "pods.json"
    file.write_text(text)
    assert main(["plan", "--pods", str(file)]) == 1
    assert str(file) in capsys.readouterr().err
