"""A credential that cannot be read is shown as long as somebody finds it so, and nobody else ends that."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from vmdirac.manager.credential_alerts import CredentialAlerts
from vmdirac.model.alert import Alert, AlertKind
from vmdirac.model.credential import Credential, CredentialError, CredentialFault, CredentialSource, SourceKind
from vmdirac.policy.credentials import LOOK_EVERY, NOBODYS_ALERT, subject_of
from vmdirac.store import alerts
from vmdirac.store.database import Store

PROXY = CredentialSource("proxy", SourceKind.FILE, "/proxy")
SUBJECT = subject_of("pod", "proxy")
GOOD = Credential(b"x", START, None)
MISSING = CredentialError(CredentialFault.MISSING, "there is no file /proxy")


def note(books: CredentialAlerts, store: Store, found: Credential | BaseException, minutes: float = 0) -> None:
    asyncio.run(books.note(store, "pod", PROXY, found, START + timedelta(minutes=minutes)))


def shown(store: Store) -> list[Alert]:
    with store.read() as session:
        return alerts.open_of(session, AlertKind.CREDENTIAL)


def test_it_is_shown_until_it_can_be_read(sqlite_store: Store) -> None:
    books = CredentialAlerts()
    note(books, sqlite_store, GOOD)
    assert shown(sqlite_store) == []
    note(books, sqlite_store, MISSING)
    [alert] = shown(sqlite_store)
    assert (alert.subject, alert.since) == (SUBJECT, START)
    assert alert.message.startswith("missing: there is no file /proxy")
    note(books, sqlite_store, MISSING, minutes=2)
    [alert] = shown(sqlite_store)
    assert (alert.since, alert.last_at) == (START, START + timedelta(minutes=2))
    note(books, sqlite_store, GOOD, minutes=3)
    assert shown(sqlite_store) == []


def test_that_it_still_is_so_is_not_written_for_each_call(sqlite_store: Store) -> None:
    books = CredentialAlerts()
    for seconds in range(60):
        note(books, sqlite_store, MISSING, minutes=seconds / 60)
    [alert] = shown(sqlite_store)
    assert alert.last_at == START


def test_an_api_server_that_can_read_it_does_not_end_the_alert_of_one_that_cannot(sqlite_store: Store) -> None:
    cannot, can = CredentialAlerts(), CredentialAlerts()
    for minute in range(0, 10, LOOK_EVERY.seconds // 60):
        note(cannot, sqlite_store, MISSING, minutes=minute)
        note(can, sqlite_store, GOOD, minutes=minute)
        asyncio.run(can.tidy(sqlite_store, {SUBJECT}, START + timedelta(minutes=minute)))
        assert [alert.subject for alert in shown(sqlite_store)] == [SUBJECT]


def test_what_nobody_finds_any_more_is_over(sqlite_store: Store) -> None:
    """The API server that could not read it is there no more."""
    note(CredentialAlerts(), sqlite_store, MISSING)
    left = CredentialAlerts()
    asyncio.run(left.tidy(sqlite_store, {SUBJECT}, START + NOBODYS_ALERT))
    assert shown(sqlite_store)
    asyncio.run(left.tidy(sqlite_store, {SUBJECT}, START + NOBODYS_ALERT + timedelta(seconds=1)))
    assert shown(sqlite_store) == []


@pytest.mark.parametrize(("known", "stays"), [(set(), False), (None, True)])
def test_what_no_pod_has_any_more_is_over_and_shown_again_if_one_has(
    sqlite_store: Store, known: set[str] | None, stays: bool
) -> None:
    books = CredentialAlerts()
    note(books, sqlite_store, MISSING)
    asyncio.run(books.tidy(sqlite_store, known, START))
    assert bool(shown(sqlite_store)) is stays
    note(books, sqlite_store, MISSING)
    assert shown(sqlite_store)
