"""Every refused call of a VM is counted with its reason, without a write for each."""

from __future__ import annotations

import logging
from datetime import datetime

import pytest

from tests.manager.conftest import START, Manager
from vmdirac.config.settings import SecretKey, secret_keys
from vmdirac.manager.refusals import MOST_KEYS, Refusals
from vmdirac.manager.vm_tokens import LIFETIME, issue
from vmdirac.model.states import InstanceStatus
from vmdirac.store import refusals
from vmdirac.store.database import Store


def counted(manager: Manager, instance: int) -> dict[str, int]:
    manager.app.state.refusals.write(manager.store, manager.now)
    with manager.store.read() as session:
        return {row.reason: row.calls for row in refusals.of_instance(session, instance)}


def test_each_reason_is_counted_for_the_instance(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    instance, other = manager.running(), manager.running()
    key = secret_keys()[0]
    bad = {
        "expired": issue(key, instance, manager.now - LIFETIME).text,
        "unknown": issue(SecretKey(b"f" * 32), instance, manager.now).text,
        "nonsense": "no.token.at-all",
    }
    for token in bad.values():
        assert manager.post(instance, "match", {"processors": 1}, token).status_code == 401
    others = issue(key, other, manager.now).text
    assert manager.post(instance, "match", {"processors": 1}, others).status_code == 403
    assert manager.register(instance, secret="0" * 64).status_code == 401
    assert manager.register(instance, nonce="x" * 32).status_code == 409
    assert counted(manager, instance) == {
        "token_expired": 1,
        "token_key_unknown": 1,
        "token_invalid": 1,
        "wrong_secret": 1,
        "other_nonce": 1,
    }
    assert counted(manager, other) == {"token_of_another": 1}
    for hidden in [*bad.values(), others, manager.secret(instance), "0" * 64]:
        assert hidden not in caplog.text


@pytest.mark.parametrize("path", ["match", "register", "context"])
def test_calls_without_a_token_or_with_two_are_counted(manager: Manager, path: str) -> None:
    instance = manager.running()
    url, method = f"/vm/v1/instances/{instance}/{path}", "GET" if path == "context" else "POST"
    good = issue(secret_keys()[0], instance, manager.now).text
    for tokens in ([], [good, good], [""], ["x" * 5000]):
        headers = [("X-VMDIRAC-Token", token) for token in tokens]
        assert manager.client.request(method, url, json={"processors": 1}, headers=headers).status_code == 401
    assert counted(manager, instance) == {"token_missing": 1, "token_twice": 1, "token_invalid": 2}


def test_messages_that_are_not_as_they_must_be_are_counted_for_nobody(manager: Manager) -> None:
    """Who says which instance they are for may be anybody."""
    instance = manager.running()
    assert manager.post(instance, "match", {"processors": "secret text"}).status_code == 422
    assert manager.post(instance, "register", {}).status_code == 422
    assert manager.client.post("/vm/v1/instances/x/match").status_code == 422
    assert counted(manager, refusals.NOBODYS) == {"message_malformed": 3}
    assert counted(manager, instance) == {}


def test_an_instance_that_is_over_and_one_that_is_not_there(manager: Manager) -> None:
    over = manager.instance(InstanceStatus.HALTED)
    assert manager.heartbeat(over).status_code == 410
    assert manager.heartbeat(10**9).status_code == 503
    assert counted(manager, over) == {"gone": 1}
    assert counted(manager, refusals.NOBODYS) == {"not_there": 1}


def test_they_are_written_with_the_mark(manager: Manager) -> None:
    """Without anybody asking for it: the app's own task does it."""
    instance = manager.running()
    manager.register(instance, nonce="x" * 32)
    manager.client.__exit__(None, None, None)
    with manager.store.read() as session:
        assert refusals.totals(session) == {"other_nonce": 1}
    manager.client.__enter__()


def test_a_flood_is_bounded_in_memory(sqlite_store: Store) -> None:
    calls = Refusals()
    for number in range(1, 10 * MOST_KEYS):
        calls.note(number, "wrong_secret")
    assert len(calls._calls) <= MOST_KEYS + 1
    calls.write(sqlite_store, START)
    with sqlite_store.read() as session:
        assert refusals.totals(session) == {"wrong_secret": 10 * MOST_KEYS - 1}


def test_what_could_not_be_written_is_kept(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Refusals()
    calls.note(0, "wrong_secret")

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(refusals, "add", fail)
        with pytest.raises(OSError, match="full"):
            calls.write(sqlite_store, START)
    calls.note(0, "wrong_secret")
    calls.write(sqlite_store, datetime.fromisoformat("2026-03-02T00:00:00+00:00"))
    with sqlite_store.read() as session:
        assert refusals.totals(session) == {"wrong_secret": 2}
