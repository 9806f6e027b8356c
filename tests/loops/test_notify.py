"""Whoever is to know of an alert is told once that it is there, and once that it is over."""

from __future__ import annotations

from datetime import timedelta

from tests.fakes.clock import START
from vmdirac.loops.notify import tell
from vmdirac.model.alert import Alert, AlertKind
from vmdirac.store import alerts
from vmdirac.store.database import Store

KIND = AlertKind.MASS_SILENCE
MINUTE = timedelta(minutes=1)


def heard(store: Store, *tellers: object) -> list[tuple[str, bool]]:
    """Who was told of what now, and whether it was over."""
    said: list[tuple[str, bool]] = []

    def hear(alert: Alert) -> None:
        said.append((alert.subject, alert.ended_at is not None))

    assert tell(store, [hear, *tellers], START) == []  # type: ignore[list-item]
    return said


def test_once_when_it_is_raised_and_once_when_it_is_over(store: Store) -> None:
    with store.write() as session:
        alerts.raise_alert(session, KIND, "alpha", "many", START)
    assert heard(store) == [("alpha", False)]
    with store.write() as session:
        alerts.raise_alert(session, KIND, "alpha", "more", START + MINUTE)
    assert heard(store) == []
    with store.write() as session:
        alerts.end_alert(session, KIND, "alpha", START + 2 * MINUTE)
    assert heard(store) == [("alpha", True)]
    assert heard(store) == []
    with store.write() as session:
        alerts.raise_alert(session, KIND, "alpha", "again", START + 3 * MINUTE)
    assert heard(store) == [("alpha", False)]


def test_one_that_was_over_before_anybody_was_told_is_not_told(store: Store) -> None:
    with store.write() as session:
        alerts.raise_alert(session, KIND, "alpha", "many", START)
        alerts.end_alert(session, KIND, "alpha", START + MINUTE)
    assert heard(store) == []


def test_what_could_not_be_told_is_told_again(store: Store) -> None:
    with store.write() as session:
        for name in ("alpha", "beta"):
            alerts.raise_alert(session, KIND, name, "many", START)

    def deaf(alert: Alert) -> None:
        if alert.subject == "alpha":
            raise ConnectionError("nobody there")

    told: list[str] = []
    failures = tell(store, [deaf, lambda alert: told.append(alert.subject)], START)
    assert failures == ["alpha: ConnectionError: nobody there"]
    assert told == ["alpha", "beta"], "the others are told all the same"
    assert heard(store) == [("alpha", False)]
