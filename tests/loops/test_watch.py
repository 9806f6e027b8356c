"""Alerts are raised while something is wrong, and end with it."""

from __future__ import annotations

from sqlalchemy import update

from tests.fakes.world import World
from vmdirac.loops.watch import watch
from vmdirac.model.alert import AlertKind
from vmdirac.model.cloud import LaunchRequest
from vmdirac.model.errors import AuthError
from vmdirac.model.states import ImageStatus
from vmdirac.store import alerts, endpoints
from vmdirac.store.database import Store
from vmdirac.store.tables import ImageRow


def told(world: World) -> set[tuple[AlertKind, str]]:
    watch(world.store, world.clock())
    with world.store.read() as session:
        return {(alert.kind, alert.subject) for alert in alerts.open_alerts(session)}


def test_an_endpoint_is_suspended_until_it_is_resumed(store: Store) -> None:
    world = World(store)
    world.submit(1)
    world.cloud.fail("launch", AuthError("who are you?"))
    world.tick()
    assert told(world) == {(AlertKind.ENDPOINT_SUSPENDED, "alpha")}
    with store.write() as session:
        endpoints.reset_holds(session, endpoint="alpha")
    assert told(world) == set()


def test_an_image_in_error_and_an_orphan(store: Store) -> None:
    world = World(store)
    world.submit(1)
    world.tick()
    world.cloud.make_by_hand(LaunchRequest("0-7", "by hand", "linux", "small", ""))
    world.clock.advance(minutes=1)
    world.reconcile()
    with store.write() as session:
        session.execute(update(ImageRow).values(status=ImageStatus.ERROR, error_message="it never boots"))
    kinds = dict(told(world))
    assert kinds.keys() == {AlertKind.BREAKER_OPEN, AlertKind.ORPHAN_FOUND}
    assert kinds[AlertKind.BREAKER_OPEN] == "image worker"
