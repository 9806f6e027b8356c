"""``vmdirac db new-installation``: a copy of a database lets go of the original's VMs."""

import pytest

from tests.fakes.cloud import FakeCloud
from tests.fakes.world import World
from vmdirac.cli import main
from vmdirac.model.states import InstanceStatus, JobStatus
from vmdirac.store.database import Store
from vmdirac.store.installation import installation_id


def test_it_says_what_it_would_do_first(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    world.submit(2)
    world.tick()
    before = installation_id(store, world.clock())
    assert main(["db", "new-installation"]) == 1
    assert "knows 2 VMs" in capsys.readouterr().out
    assert installation_id(store, world.clock()) == before


def test_a_copy_lets_go_of_the_vms_and_never_touches_them(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(store)
    world.submit(2)
    world.tick()
    before = installation_id(store, world.clock())
    assert main(["db", "new-installation", "--yes"]) == 0
    after = installation_id(store, world.clock())
    assert after != before
    assert after in capsys.readouterr().out
    original = world.cloud
    world.clouds = {"alpha": FakeCloud(world.clock, original.account, installation="the copy")}
    for _ in range(4):
        world.clock.advance(minutes=10)
        world.reconcile()
    assert len(world.instances(InstanceStatus.HALTED)) == 2
    assert world.job_counts() == {JobStatus.WAITING: 2}
    assert len(original.machines()) == 2


def test_a_database_that_is_nobodys_copy(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "new-installation", "--yes"]) == 1
    assert "no installation id yet" in capsys.readouterr().err
