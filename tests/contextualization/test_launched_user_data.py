"""The way of user data from the plan to the cloud: stored without the secret, launched with it."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from tests.config.sources import source
from vmdirac.config.loader import load_configuration
from vmdirac.config.settings import SecretKey, templates_folder
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, bootstrap_secret, fingerprint
from vmdirac.loops.launch import launch
from vmdirac.loops.plan_and_reserve import plan_and_reserve
from vmdirac.loops.tick import user_data_renderer
from vmdirac.model.cloud import LaunchOutcome, LaunchRequest, Shape
from vmdirac.model.demand import Demand
from vmdirac.model.errors import TransientError
from vmdirac.model.requirements import Requirements, TaskQueue
from vmdirac.store import endpoints, ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import Base, InstanceRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY, OTHER = SecretKey(b"k" * 32), SecretKey(b"o" * 32)


class DeafCloud:
    """Notes what it is asked for and never answers."""

    def __init__(self) -> None:
        self.asked: list[LaunchRequest] = []

    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        self.asked.extend(requests)
        return [LaunchOutcome(request.token, error=TransientError("no answer")) for request in requests]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/vmdirac.db")
    Base.metadata.create_all(store.engine)
    yield store
    store.close()


@pytest.fixture
def reserved(store: Store) -> Store:
    """A store in which a tick has reserved three VMs."""
    configuration = load_configuration(source())
    with store.write() as session:
        endpoints.put_shapes(session, {("A", "small"): Shape(1)}, NOW)
        waiting = Demand((TaskQueue("1", Requirements(cpu_time=60), 3),), NOW)
        tick = ticks.begin(session, NOW, "")
        ticks.put_demand(session, tick, "queue", waiting)
    render = user_data_renderer(configuration, templates_folder(), "https://airflow.example.org/vmdirac")
    plan_and_reserve(store, configuration, tick, key=KEY, render=render, now=NOW, rng=random.Random(0))
    return store


def ask(store: Store, keys: Sequence[SecretKey]) -> dict[str, LaunchRequest]:
    """Launch whatever is due; what the cloud was asked, by token."""
    cloud = DeafCloud()
    launch(store, cloud, "A", keys, lambda: NOW)  # type: ignore[arg-type]
    return {request.token: request for request in cloud.asked}


def rows(store: Store) -> list[InstanceRow]:
    with store.read() as session:
        return list(session.scalars(select(InstanceRow).order_by(InstanceRow.id)))


def test_no_placeholder_survives_the_launch_and_each_vm_gets_its_own_secret(reserved: Store) -> None:
    asked = ask(reserved, [KEY])
    secrets = {token: bootstrap_secret(KEY, token) for token in asked}
    assert len(set(secrets.values())) == 3
    for token, request in asked.items():
        assert PLACEHOLDER not in request.user_data
        assert [secret for secret in secrets.values() if secret in request.user_data] == [secrets[token]]
        assert secrets[token] not in repr(request)


def test_the_database_has_only_what_is_needed_to_recognize_the_secret(reserved: Store) -> None:
    asked = ask(reserved, [KEY])
    for row in rows(reserved):
        secret = bootstrap_secret(KEY, row.launch_token)
        assert row.bootstrap_hash == fingerprint(secret)
        assert row.secret_key_id == KEY.key_id
        assert row.request["user_data"].count(PLACEHOLDER) == 1
        assert f'"instance": {row.id}' in row.request["user_data"]
    with reserved.engine.connect() as connection:
        tables = [name for (name,) in connection.execute(text("select name from sqlite_master where type = 'table'"))]
        # A row of SQLAlchemy's shows itself shortened, a tuple does not.
        dump = repr([tuple(row) for name in tables for row in connection.execute(text(f'select * from "{name}"'))])
    assert PLACEHOLDER in dump
    for token in asked:
        assert bootstrap_secret(KEY, token) not in dump
    assert KEY.value.decode() not in dump


def test_asked_again_the_request_is_the_same_to_the_byte(reserved: Store) -> None:
    first = ask(reserved, [KEY])
    with reserved.write() as session:
        session.execute(update(InstanceRow).values(last_launch_at=None))
    # A new key signs now; the launches that began with the old one go on with it.
    assert ask(reserved, [OTHER, KEY]) == first
    assert replace(next(iter(first.values())), user_data="") != next(iter(first.values()))


def test_without_the_key_that_it_began_with_a_launch_is_not_changed_but_refused(reserved: Store) -> None:
    assert ask(reserved, [OTHER]) == {}
    for row in rows(reserved):
        assert (row.status, row.error_kind) == ("Error", "config")
        assert KEY.key_id in row.error_message
