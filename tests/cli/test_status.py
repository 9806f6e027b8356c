"""``vmdirac alerts``, ``pods``, ``images``, ``endpoints`` and ``reset``."""

from dataclasses import replace

import pytest

from tests.fakes.clock import START
from tests.fakes.world import World
from vmdirac.cli import main
from vmdirac.model.account import AccountLimit, Measure
from vmdirac.model.alert import AlertKind
from vmdirac.model.errors import AuthError
from vmdirac.model.states import ImageStatus
from vmdirac.store import accounts, alerts
from vmdirac.store.database import Store
from vmdirac.store.tables import ImageRow

pytestmark = pytest.mark.slow


def said(capsys: pytest.CaptureFixture[str], *command: str, status: int = 0) -> list[str]:
    assert main(list(command)) == status
    printed = capsys.readouterr()
    return (printed.err if status else printed.out).splitlines()


def test_pods_with_their_states(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    world.submit(3)
    world.pods["old"] = replace(world.pods["pod"], name="old", campaign_end=START.date().replace(year=2000))
    world.tick()
    head, old, pod = said(capsys, "pods")
    assert head.split() == ["pod", "state", "vms", "campaign", "since", "message"]
    assert old.split()[:6] == ["old", "Unactive", "0", "ever", "to", str(START.date().replace(year=2000))]
    assert pod.split()[:4] == ["pod", "Active", "3", "always"]


def test_a_suspended_endpoint_and_its_reset(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    world.submit(1)
    world.cloud.fail("launch", AuthError("who are you?"))
    world.tick()
    lines = said(capsys, "endpoints")
    assert lines[1].split()[:3] == ["alpha", "0", "never"]
    assert lines[2].startswith("held: alpha: auth since ")
    assert lines[2].endswith("1 failures: who are you?")
    assert said(capsys, "reset", "endpoint", "alpha") == ["no longer held: auth: who are you?"]
    assert said(capsys, "reset", "endpoint", "alpha") == ["nothing was held there"]
    world.tick()
    assert len(world.cloud.machines()) == 1


def test_an_image_in_error_and_its_reset(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    world.tick()
    with store.write() as session:
        row = session.query(ImageRow).one()
        row.status, row.error_message, row.failures = ImageStatus.ERROR, "it never boots", 5
    world.submit(1)
    world.tick()
    assert not world.cloud.machines()
    assert said(capsys, "images")[1].split()[:3] == ["worker", "Error", "5"]
    said(capsys, "reset", "image", "worker")
    assert said(capsys, "images")[1].split()[:3] == ["worker", "New", "0"]
    world.tick()
    assert len(world.cloud.machines()) == 1


@pytest.mark.parametrize(("what", "complaint"), [("endpoint", "alpha"), ("image", "worker")])
def test_a_name_that_is_not_there(store: Store, capsys: pytest.CaptureFixture[str], what: str, complaint: str) -> None:
    World(store).tick()
    (line,) = said(capsys, "reset", what, complaint + "x", status=1)
    assert f"did you mean '{complaint}'?" in line


def test_what_has_to_be_looked_at(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "alerts") == ["nothing has to be looked at"]
    with store.write() as session:
        alerts.raise_alert(session, AlertKind.ORPHANS, "alpha", "4 of 4 VMs are unknown", START)
    (line,) = said(capsys, "alerts")
    assert line.startswith("orphans: alpha: 4 of 4 VMs are unknown (since ")


def test_what_the_account_may_have(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    world.submit(2)
    world.tick()
    with store.write() as session:
        accounts.put_limits(session, "alpha", [AccountLimit(Measure.PROCESSORS, 16, 5)], START)
    assert said(capsys, "endpoints")[-1] == "account: alpha: of 16 processors 2 are ours and 5 others'"
