"""How far contextualizations over ssh are, on all three databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete, select

from tests.fakes.clock import START
from tests.fakes.fixtures import on_servers
from tests.fakes.rows import add_instance
from vmdirac.model.alert import AlertKind
from vmdirac.model.instance import Instance
from vmdirac.model.ssh import SSH, HostKey, HostKeySource
from vmdirac.model.states import InstanceStatus
from vmdirac.policy.host_keys import Pins
from vmdirac.store import alerts, instances, ssh_contexts
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow, SshContextRow

S = InstanceStatus
A, B = HostKey("ed25519", "SHA256:a"), HostKey("rsa", "SHA256:b")
FIRST_USE, CONSOLE = Pins((A,), HostKeySource.FIRST_USE), Pins((A, B), HostKeySource.CONSOLE)


def add(store: Store, status: InstanceStatus = S.WAIT_SSH_CONTEXT, **fields: Any) -> Instance:
    with store.write() as session:
        return add_instance(session, status, **{"context_method": SSH, **fields})


def context_of(store: Store, instance: Instance) -> SshContextRow:
    with store.read() as session:
        found = ssh_contexts.get(session, instance.id)
    assert found is not None
    return found


def begin(store: Store, instance: Instance) -> int | None:
    return store.transact(lambda session: ssh_contexts.begin_try(session, instance, "192.0.2.1", START))


def work(store: Store, endpoint: str = "alpha") -> list[int]:
    with store.read() as session:
        found = ssh_contexts.work(session, endpoint)
        assert bool(found) is (endpoint in ssh_contexts.endpoints_with_work(session))
    return [item.id for item, _ in found]


def test_whose_contextualization_is_not_over(store: Store) -> None:
    waits = add(store)
    begun, calls, ended = add(store), add(store), add(store)
    for item in (begun, calls, ended):
        assert begin(store, item) == 1
    with store.write() as session:
        for item in (calls, ended):
            now = instances.get(session, item.id)
            assert now is not None
            assert instances.change(session, now, START, "it called in", to=S.RUNNING)
        assert ssh_contexts.note_progress(session, ended.id, 1, 0, "done", START)
    add(store, S.RUNNING, context_method="")
    add(store, S.SUBMITTED, context_method="")
    for status in (S.STOPPING, S.HALTED, S.STALLED, S.ERROR, S.NEW):
        add(store, status)
    assert work(store) == [waits.id, begun.id, calls.id]
    assert work(store, "beta") == []
    with store.write() as session:
        ssh_contexts.leave(session, calls.id)
    assert work(store) == [waits.id, begun.id]


def test_what_there_was_comes_back(store: Store) -> None:
    one = add(store)
    with store.write() as session:
        assert ssh_contexts.record_host_keys(session, one.id, CONSOLE)
        ssh_contexts.note_failed_visit(session, one.id, "2001:db8::1", "connection refused", START)
    with store.read() as session:
        ((_, found),) = ssh_contexts.work(session, "alpha")
    assert (found.host_keys, found.host_key_source) == ((A, B), HostKeySource.CONSOLE)
    assert (found.failures, found.visited_at, found.tries, found.finished) == (1, START, 0, False)
    row = context_of(store, one)
    assert (row.address, row.message) == ("2001:db8::1", "connection refused")
    assert ssh_contexts.host_keys_of(row) == [A, B]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (FIRST_USE, FIRST_USE, FIRST_USE),
        (FIRST_USE, CONSOLE, CONSOLE),
        (CONSOLE, Pins((B,), HostKeySource.CONSOLE), None),
        (CONSOLE, Pins((B,), HostKeySource.FIRST_USE), None),
        (FIRST_USE, Pins((B,), HostKeySource.FIRST_USE), None),
    ],
)
def test_keys_that_are_known_give_way_to_none_but_the_consoles(
    store: Store, first: Pins, second: Pins, kept: Pins | None
) -> None:
    one = add(store)
    assert store.transact(lambda session: ssh_contexts.record_host_keys(session, one.id, first))
    assert store.transact(lambda session: ssh_contexts.record_host_keys(session, one.id, second)) is (kept is not None)
    row = context_of(store, one)
    expected = kept or first
    assert (tuple(ssh_contexts.host_keys_of(row)), row.host_key_source) == (expected.keys, expected.source)


def test_a_try_is_begun_by_compare_and_set_and_forgets_the_one_before(store: Store) -> None:
    one = add(store)
    with store.write() as session:
        ssh_contexts.note_failed_visit(session, one.id, "192.0.2.1", "refused", START)
    assert begin(store, one) == 1
    assert begin(store, one) is None, "it is another version by now"
    assert context_of(store, one).message == ""
    with store.write() as session:
        assert ssh_contexts.note_progress(session, one.id, 1, 3, "bad", START)
        now = instances.get(session, one.id)
        assert now is not None
        assert instances.change(session, now, START, "again", to=S.WAIT_SSH_CONTEXT)
    with store.read() as session:
        again = instances.get(session, one.id)
    assert again is not None
    assert begin(store, again) == 2
    row = context_of(store, one)
    assert (row.tries, row.exit_status, row.output, row.finished) == (2, None, "", False)
    with store.write() as session:
        assert ssh_contexts.note_progress(session, one.id, 1, 0, "late", START) is None, "of the try before"
    assert context_of(store, one).output == ""


@on_servers
def test_of_many_who_begin_a_try_at_once_one_does(store: Store) -> None:
    one = add(store)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: begin(store, one), range(8)))
    assert sorted(filter(None, found)) == [1]
    assert context_of(store, one).tries == 1


@on_servers
def test_of_many_who_see_different_keys_at_once_one_is_right(store: Store) -> None:
    one = add(store)
    keys = [Pins((HostKey("ed25519", f"SHA256:{number}"),), HostKeySource.FIRST_USE) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        kept = list(
            threads.map(
                lambda pin: store.transact(lambda session: ssh_contexts.record_host_keys(session, one.id, pin)), keys
            )
        )
    assert kept.count(True) == 1
    assert tuple(ssh_contexts.host_keys_of(context_of(store, one))) == keys[kept.index(True)].keys


def test_output_that_no_database_takes(store: Store) -> None:
    one = add(store)
    begin(store, one)
    with store.write() as session:
        assert ssh_contexts.note_progress(session, one.id, 1, 0, "a\x00b\ud800 漢🚀", START)
    assert context_of(store, one).output == "a\ufffdb? 漢🚀"


def test_a_wrong_key_is_said_once(store: Store) -> None:
    one = add(store)
    for _ in range(3):
        with store.write() as session:
            ssh_contexts.note_refused_key(session, one.id, "another key", START)
    with store.read() as session:
        assert session.get_one(InstanceRow, one.id).suspicious
        reasons = [line.reason for line in instances.history(session, one.id)]
        (alert,) = alerts.open_alerts(session)
    assert reasons == ["made by a test", "suspicious: another key"]
    assert (alert.kind, alert.subject) == (AlertKind.SUSPICIOUS, f"instance {one.id}")


def test_it_goes_with_its_instance(store: Store) -> None:
    one = add(store)
    begin(store, one)
    if store.engine.dialect.name != "sqlite":
        with store.write() as session:
            session.execute(delete(InstanceRow).where(InstanceRow.id == one.id))
        with store.read() as session:
            assert session.scalars(select(SshContextRow)).all() == []
    with store.write() as session:
        assert not ssh_contexts.record_host_keys(session, 10**9, FIRST_USE)
        ssh_contexts.note_failed_visit(session, 10**9, "", "", START)
        ssh_contexts.note_refused_key(session, 10**9, "", START)
        ssh_contexts.leave(session, 10**9)
        assert ssh_contexts.note_progress(session, 10**9, 1, 0, "", START) is None
