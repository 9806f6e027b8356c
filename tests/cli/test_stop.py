"""``vmdirac stop`` and ``vmdirac cancel-stop``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.rows import add_instance
from tests.fakes.world import World
from vmdirac.cli import main
from vmdirac.cli.stop import MANY
from vmdirac.loops.asked_stop import StopReport, preview_stop
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store

S = InstanceStatus


def said(capsys: pytest.CaptureFixture[str], *command: str, status: int = 0) -> list[str]:
    assert main(list(command)) == status
    printed = capsys.readouterr()
    return (printed.err if status else printed.out).splitlines()


def add(store: Store, status: InstanceStatus = S.RUNNING, number: int = 1, **fields: object) -> None:
    with store.write() as session:
        for _ in range(number):
            add_instance(session, status, **fields)


def test_they_are_stopped_and_go_on(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    add(store, number=2, jobs=3)
    add(store, S.SUBMITTED, pod="other")
    add(store, S.STOPPING)
    shown = ["  2 drain: they finish their jobs first", "  2 of pod pod on alpha: 1-2"]
    going = "  1 others that fit are going already, or have changed in this moment"
    look = said(capsys, "stop", "--pod", "pod", "--why", "old", "--dry-run")
    assert look == ["2 would be stopped", *shown, going]
    assert said(capsys, "stop", "--pod", "pod", "--why", "old") == ["2 stopped", *shown, going]
    assert [item.status for item in world.instances()] == [S.STOPPING, S.STOPPING, S.SUBMITTED, S.STOPPING]
    reason = world.history(world.instances()[0].id)[-1].reason
    assert reason.endswith(" at the command line: old")
    assert said(capsys, "cancel-stop", "--pod", "pod", "--status", "Stopping", "--why", "new") == ["2 go on"]
    forced = said(capsys, "stop", "--endpoint", "alpha", "--status", "Running", "--force", "--why", "gone")
    assert forced == [
        "2 stopped",
        "  2 go by force, whatever they are doing",
        *shown[1:],
        "  6 jobs go back to the queue, when their VMs say that they end or are gone",
    ]


def test_many_have_to_be_meant(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    add(store, number=MANY + 1)
    refused = said(capsys, "stop", "--pod", "pod", "--why", "all", status=1)
    assert refused == [f"error: they are more than {MANY}: say --yes if all of them are meant"]
    assert {item.status for item in world.instances()} == {S.RUNNING}
    assert said(capsys, "stop", "--pod", "pod", "--why", "all", "--yes")[0] == f"{MANY + 1} stopped"


def test_what_comes_after_the_look_is_left(
    store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(store)
    add(store, number=MANY)

    def look_and_wait(*arguments: Any) -> StopReport:
        report = preview_stop(*arguments)
        add(store)
        return report

    monkeypatch.setattr("vmdirac.cli.stop.preview_stop", look_and_wait)
    told = said(capsys, "stop", "--pod", "pod", "--why", "all")
    assert told[0] == f"{MANY} stopped"
    assert told[-1] == "  1 others fit by now and are left: nobody has looked at them"
    assert [item.status for item in world.instances()] == [S.STOPPING] * MANY + [S.RUNNING]


def test_nobody_stops_all_by_saying_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("stop", "cancel-stop"):
        wrong = said(capsys, command, "--why", "all", status=1)
        assert wrong == ["error: say which: --instance, --pod, --endpoint or --status"]
