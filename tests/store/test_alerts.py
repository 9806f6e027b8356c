"""Alerts begin once, go on, end, and may begin again."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from tests.fakes.clock import START
from vmdirac.model.alert import Alert, AlertKind
from vmdirac.store import alerts
from vmdirac.store.database import Store

MINUTE = timedelta(minutes=1)


def raise_(store: Store, minutes: int, message: str = "m", subject: str = "alpha") -> None:
    with store.write() as session:
        alerts.raise_alert(session, AlertKind.ORPHANS, subject, message, START + minutes * MINUTE)


def end(store: Store, subject: str = "alpha") -> None:
    with store.write() as session:
        alerts.end_alert(session, AlertKind.ORPHANS, subject, START + 9 * MINUTE)


def shown(store: Store) -> list[Alert]:
    with store.read() as session:
        return alerts.open_alerts(session)


def test_what_is_still_wrong_is_one_alert_with_the_newest_message(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        raise_(store, 0, "5 of 9")
        raise_(store, 1, "6 of 9")
    assert shown(store) == [Alert(AlertKind.ORPHANS, "alpha", "6 of 9", START, START + MINUTE)]
    assert [record.getMessage() for record in caplog.records] == ["alert: alpha: 5 of 9"], "said once"


def test_alerts_of_several_subjects_the_newest_first(store: Store) -> None:
    raise_(store, 0)
    raise_(store, 1, subject="beta")
    assert [alert.subject for alert in shown(store)] == ["beta", "alpha"]
    end(store)
    assert [alert.subject for alert in shown(store)] == ["beta"]


def test_one_that_begins_again_is_a_new_one(store: Store) -> None:
    raise_(store, 0)
    end(store)
    assert shown(store) == []
    raise_(store, 20)
    assert [alert.since for alert in shown(store)] == [START + 20 * MINUTE]


def test_ending_what_never_began_is_nothing(store: Store) -> None:
    end(store)
    assert shown(store) == []
