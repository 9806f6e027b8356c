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


def heard(store: Store) -> list[tuple[str, bool]]:
    """Who was told of what now, and whether it was over."""
    said: list[tuple[str, bool]] = []

    def hear(alert: Alert) -> None:
        said.append((alert.subject, alert.ended_at is not None))

    assert tell(store, {"hearing": hear}, START) == []
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


class Person:
    """Somebody who is told, and may be out of reach."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[tuple[str, bool]] = []

    def __call__(self, alert: Alert) -> None:
        if self.away:
            raise ConnectionError("nobody there")
        self.told.append((alert.subject, alert.ended_at is not None))


def test_only_those_who_could_not_be_told_are_told_again(store: Store) -> None:
    with store.write() as session:
        for name in ("alpha", "beta"):
            alerts.raise_alert(session, KIND, name, "many", START)
    deaf, hearing = Person(), Person()
    deaf.away = True
    both = {"deaf": deaf, "hearing": hearing}
    for _ in range(3):
        assert tell(store, both, START) == [
            "alpha: ConnectionError: nobody there",
            "beta: ConnectionError: nobody there",
        ]
    assert hearing.told == [("alpha", False), ("beta", False)], "once, however often the other one is tried"
    deaf.away = False
    for _ in range(2):
        assert tell(store, both, START) == []
    assert (deaf.told, hearing.told) == ([("alpha", False), ("beta", False)],) * 2


def test_that_it_is_over_is_told_to_those_who_know_of_it(store: Store) -> None:
    with store.write() as session:
        alerts.raise_alert(session, KIND, "alpha", "many", START)
    deaf, hearing, late = Person(), Person(), Person()
    deaf.away = True
    assert len(tell(store, {"deaf": deaf, "hearing": hearing}, START)) == 1
    with store.write() as session:
        alerts.end_alert(session, KIND, "alpha", START + MINUTE)
    deaf.away, hearing.away = False, True
    people = {"deaf": deaf, "hearing": hearing, "late": late}
    assert len(tell(store, people, START)) == 1
    hearing.away = False
    for _ in range(2):
        assert tell(store, people, START) == []
    assert (deaf.told, hearing.told, late.told) == ([], [("alpha", False), ("alpha", True)], [])
    with store.write() as session:
        alerts.raise_alert(session, KIND, "alpha", "again", START + 2 * MINUTE)
    assert tell(store, people, START) == []
    assert [person.told[-1] for person in (deaf, hearing, late)] == [("alpha", False)] * 3


def test_one_whose_name_is_mended_is_told(store: Store) -> None:
    with store.write() as session:
        alerts.raise_alert(session, KIND, "alpha", "many", START)
    wrong, mended, hearing = Person(), Person(), Person()
    wrong.away = True
    tell(store, {"hearign": wrong, "hearing": hearing}, START)
    assert tell(store, {"mended": mended, "hearing": hearing}, START) == []
    assert (mended.told, hearing.told) == ([("alpha", False)], [("alpha", False)])
