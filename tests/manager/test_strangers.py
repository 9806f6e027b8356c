"""VMs of ours that no instance knows are asked to come again, so that their work is not lost, and their calls count."""

import pytest
from sqlalchemy import delete, select, update

from tests.manager.conftest import Manager
from vmdirac.config.settings import secret_keys
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.manager.vm_tokens import issue
from vmdirac.store.tables import HistoryRow, InstanceRow, OrphanRow

UNKNOWN = 77


@pytest.fixture
def orphan(manager: Manager) -> str:
    """The launch token of a VM that a list has shown."""
    with manager.store.write() as session:
        session.add(
            OrphanRow(endpoint="A", cloud_id="vm-1", token="lost", first_seen=manager.now, last_seen=manager.now)
        )
    return "lost"


def row(manager: Manager) -> OrphanRow:
    with manager.store.read() as session:
        return session.scalars(select(OrphanRow)).one()


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("heartbeat", {"load": 0, "uptime": 0}),
        ("match", {"processors": 1}),
        ("halting", {}),
        ("jobs/1/finish", {"lease": "lease", "exit_code": 0}),
    ],
)
def test_a_good_token_of_an_unknown_instance_is_served_later(
    manager: Manager, orphan: str, what: str, body: dict[str, object]
) -> None:
    token = issue(secret_keys()[0], UNKNOWN, manager.now, orphan).text
    answer = manager.post(UNKNOWN, what, body, token)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert row(manager).called_at == manager.now


def test_the_secret_of_an_orphan_is_told_from_a_guess(manager: Manager, orphan: str) -> None:
    assert manager.register(UNKNOWN, secret="0" * 64).status_code == 401
    assert row(manager).called_at is None
    assert manager.register(UNKNOWN, secret=bootstrap_secret(secret_keys()[0], orphan)).status_code == 503
    assert row(manager).called_at == manager.now


def test_tokens_say_whose_launch_they_are_of_and_go_on_saying_it(manager: Manager, orphan: str) -> None:
    instance = manager.instance()
    token = manager.register(instance).json()["token"]
    manager.pass_time(minutes=31)
    renewed = manager.post(instance, "heartbeat", {"load": 0, "uptime": 0}, token).json()["token"]
    with manager.store.write() as session:
        session.execute(update(OrphanRow).values(token=manager.row(instance).launch_token))
        session.execute(delete(HistoryRow))
        session.execute(delete(InstanceRow))
    assert manager.post(instance, "heartbeat", {"load": 0, "uptime": 0}, renewed).status_code == 503
    assert row(manager).called_at == manager.now
