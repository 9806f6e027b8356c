"""VMs that carry our tag and that no instance knows: marked, looked at again, and only then deleted."""

import pytest
from sqlalchemy import delete, select

from tests.fakes.account import MemoryAccount
from tests.fakes.clock import Clock
from tests.fakes.cloud import FakeCloud
from tests.fakes.configured import an_endpoint
from tests.fakes.vm import boot
from tests.fakes.world import KEY, World
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.loops.orphans import judge_strangers
from vmdirac.manager import strangers
from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import CloudState, LaunchRequest
from vmdirac.model.errors import AuthError, TransientError
from vmdirac.model.states import InstanceStatus
from vmdirac.store import alerts, orphans
from vmdirac.store.database import Store
from vmdirac.store.tables import HistoryRow, InstanceRow, OrphanRow


def made_by_hand(cloud: FakeCloud, number: int = 1) -> list[str]:
    """VMs with our tag that nobody has a row for; their tokens."""
    tokens = [f"ffff-{n}" for n in range(number)]
    for token in tokens:
        cloud.make_by_hand(LaunchRequest(token, "by hand", "linux", "small", ""))
    return tokens


def rows(store: Store) -> list[OrphanRow]:
    with store.read() as session:
        return list(session.scalars(select(OrphanRow).order_by(OrphanRow.id)))


def test_an_orphan_is_deleted_when_a_later_list_shows_it_still(store: Store) -> None:
    world = World(store)
    made_by_hand(world.cloud)
    assert world.reconcile().orphans_deleted == 0
    world.clock.advance(minutes=4)
    assert world.reconcile().orphans_deleted == 0
    world.clock.advance(minutes=2)
    assert world.reconcile().orphans_deleted == 1
    world.clock.advance(minutes=1)
    world.reconcile()
    assert not world.cloud.machines()
    assert rows(store) == []


def test_a_delete_that_fails_is_tried_again_with_pauses(store: Store) -> None:
    world = World(store)
    made_by_hand(world.cloud)
    world.reconcile()
    world.clock.advance(minutes=6)
    world.cloud.fail("terminate", TransientError("busy"), TransientError("busy"))
    assert world.reconcile().delete_failed == 1
    (row,) = rows(store)
    assert (row.delete_attempts, row.message) == (1, "transient: busy")
    world.clock.advance(seconds=30)
    assert world.reconcile().delete_failed == 0, "it waits a minute"
    world.clock.advance(seconds=30)
    assert world.reconcile().delete_failed == 1
    world.clock.advance(minutes=2)
    assert world.reconcile().orphans_deleted == 1


def test_a_restored_database_deletes_nothing(store: Store) -> None:
    """All that was launched since it was saved is unknown to it."""
    world = World(store)
    world.submit(8)
    world.tick()
    with store.write() as session:
        session.execute(delete(HistoryRow))
        session.execute(delete(InstanceRow))
    for _ in range(5):
        world.clock.advance(minutes=30)
        assert world.reconcile().unknown == 8
    assert len(world.cloud.machines()) == 8


def test_one_that_calls_in_is_spared_and_its_jobs_go_on(store: Store) -> None:
    world = World(store)
    (token,) = made_by_hand(world.cloud)
    world.reconcile()
    for _ in range(3):
        world.clock.advance(minutes=30)
        with store.write() as session:
            strangers.note_call(session, 77, token, world.clock())
        assert world.reconcile().orphans_deleted == 0
    world.clock.advance(minutes=61)
    assert world.reconcile().orphans_deleted == 1


def test_who_registers_with_the_secret_of_an_orphan_is_known_by_it(store: Store) -> None:
    world = World(store)
    (token,) = made_by_hand(world.cloud)
    world.reconcile()
    with store.write() as session:
        assert not strangers.note_registration(session, 77, "guessed", [KEY], world.clock())
        assert rows(store)[0].called_at is None
        assert strangers.note_registration(session, 77, bootstrap_secret(KEY, token), [KEY], world.clock())
    assert rows(store)[0].called_at == world.clock()


def test_one_whose_instance_is_found_is_no_orphan_any_more(store: Store) -> None:
    world = World(store)
    made_by_hand(world.cloud)
    world.reconcile()
    assert len(rows(store)) == 1
    with store.write() as session:
        assert judge_strangers(session, "alpha", [], 1, world.clock(), world.clock()).delete == []
    assert rows(store) == []


def test_known_vms_are_never_orphans(store: Store) -> None:
    world = World(store)
    world.submit(2)
    world.tick()
    vms = boot(world)
    for _ in range(4):
        world.clock.advance(minutes=10)
        for vm in vms:
            vm.heartbeat()
        assert world.reconcile().unknown == 0
    assert len(world.cloud.machines()) == 2


def test_vms_of_another_endpoint_in_the_same_account_are_not_orphans(store: Store) -> None:
    """Two connections may lead to one account, and a connection may get another name."""
    clock, account = Clock(), MemoryAccount()
    clouds = {name: FakeCloud(clock, account) for name in ("alpha", "beta")}
    world = World(store, endpoints=[an_endpoint("alpha"), an_endpoint("beta")], clouds=clouds, clock=clock)
    world.submit(2)
    world.tick()
    assert len(clouds["alpha"].machines()) == 2
    for _ in range(4):
        clock.advance(minutes=10)
        assert world.reconcile("beta").unknown == 0
    assert len(clouds["alpha"].machines()) == 2
    assert rows(store) == []
    # Whose row is done with has nobody who looks after it any more.
    with store.write() as session:
        for item in world.instances():
            session.get_one(InstanceRow, item.id).status = InstanceStatus.HALTED
    assert world.reconcile("beta").unknown == 2
    assert len(rows(store)) == 2


@pytest.mark.parametrize("endpoints", [("alpha", "beta")])
def test_orphans_of_one_endpoint_are_not_those_of_another(store: Store, endpoints: tuple[str, str]) -> None:
    world = World(store)
    made_by_hand(world.cloud)
    world.reconcile()
    with store.write() as session:
        assert orphans.of_endpoint(session, endpoints[0]).keys()
        assert not orphans.of_endpoint(session, endpoints[1])


@pytest.mark.parametrize("text", ["x" * 300, "nul\x00", "half \ud800"])
def test_whatever_is_in_its_tags_it_is_dealt_with(store: Store, text: str) -> None:
    """Anybody who may tag VMs may write there: it must not end each pass over the endpoint."""
    world = World(store)
    world.cloud.make_by_hand(LaunchRequest(text, text, "linux", "small", ""))
    world.reconcile()
    world.clock.advance(minutes=6)
    assert world.reconcile().orphans_deleted == 1


def shown_alerts(store: Store) -> list[tuple[str, str]]:
    with store.read() as session:
        return [(alert.kind, alert.subject) for alert in alerts.open_alerts(session)]


def test_too_many_of_them_are_an_alert_until_they_are_fewer(store: Store) -> None:
    world = World(store)
    made_by_hand(world.cloud, 4)
    assert world.reconcile().alarm
    assert shown_alerts(store) == [(AlertKind.ORPHANS, "alpha")]
    world.cloud.set_state(world.cloud.machines()[0].cloud_id, CloudState.TERMINATED)
    world.clock.advance(minutes=1)
    assert not world.reconcile().alarm
    assert shown_alerts(store) == []


def test_one_that_cannot_be_deleted_is_a_persons_business_until_it_is_gone(store: Store) -> None:
    world = World(store)
    made_by_hand(world.cloud)
    with world.cloud.broken("terminate", AuthError("not yours")):
        world.reconcile()
        for _ in range(4):
            world.clock.advance(minutes=60)
            world.reconcile()
        assert shown_alerts(store) == []
        world.clock.advance(minutes=60)
        world.reconcile()
        assert shown_alerts(store) == [(AlertKind.NEEDS_A_PERSON, "VM vm-0001 of alpha")]
    for _ in range(2):
        world.clock.advance(minutes=60)
        world.reconcile()
    assert shown_alerts(store) == []
