"""The task that watches: who is told of alerts by Airflow's notifiers, and what is measured."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.observability import stats

from tests.fakes.rows import add_instance
from vmdirac.model.alert import AlertKind
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.metrics import measure
from vmdirac.operators.runtime import utc_now
from vmdirac.operators.watch import VmdiracWatchOperator
from vmdirac.store import alerts
from vmdirac.store.database import Store

HERE = __name__


class Listening(BaseNotifier):
    """Keeps what it was told."""

    template_fields = ("text",)
    heard: ClassVar[list[str]] = []

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        self.heard.append(self.text)


class Deaf(BaseNotifier):
    def notify(self, context: Any) -> None:
        raise ConnectionError("nobody there")


def run(monkeypatch: pytest.MonkeyPatch, *notifiers: dict[str, Any]) -> list[str]:
    """What was heard of one run."""
    monkeypatch.setenv("AIRFLOW_VAR_VMDIRAC_NOTIFIERS", json.dumps(notifiers))
    Listening.heard.clear()
    VmdiracWatchOperator(task_id="watch").execute({})
    return list(Listening.heard)


SAYS = {
    "notifier": f"{HERE}.Listening",
    "arguments": {"text": "{{ alert.kind.value }}: {{ alert.subject }}{{ ' is over' if alert.ended_at }}"},
}


def test_notifiers_tell_of_alerts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = utc_now()
    with store.write() as session:
        alerts.raise_alert(session, AlertKind.MASS_SILENCE, "alpha", "many", now)
    only_orphans = {**SAYS, "kinds": ["orphans"]}
    assert run(monkeypatch, SAYS, only_orphans) == ["mass_silence: alpha"]
    assert run(monkeypatch, SAYS) == []
    with store.write() as session:
        alerts.end_alert(session, AlertKind.MASS_SILENCE, "alpha", now + timedelta(minutes=1))
    assert run(monkeypatch, SAYS) == ["mass_silence: alpha is over"]


def test_one_that_fails_keeps_nobody_else_from_telling(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.write() as session:
        alerts.raise_alert(session, AlertKind.MASS_SILENCE, "alpha", "many", utc_now())
    with pytest.raises(AirflowFailException, match="alpha: ConnectionError: nobody there"):
        run(monkeypatch, {"notifier": f"{HERE}.Deaf"}, SAYS, SAYS)
    assert Listening.heard == ["mass_silence: alpha"] * 2
    with pytest.raises(AirflowFailException, match="alpha: ConnectionError: nobody there"):
        run(monkeypatch, {"notifier": f"{HERE}.Deaf"}, SAYS, SAYS)
    assert Listening.heard == [], "they have been told"


@pytest.mark.parametrize(
    "part", ["vmdirac.loops.watch.watch", "vmdirac.operators.metrics.measure", "vmdirac.loops.count.count"]
)
def test_a_part_that_fails_keeps_no_alert_from_being_told(
    store: Store, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("it is broken")

    with store.write() as session:
        alerts.raise_alert(session, AlertKind.MASS_SILENCE, "alpha", "many", utc_now())
    monkeypatch.setattr(part, fail)
    with pytest.raises(AirflowFailException, match="RuntimeError: it is broken"):
        run(monkeypatch, SAYS)
    assert Listening.heard == ["mass_silence: alpha"]


def test_a_wrong_variable_keeps_nothing_from_being_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Store] = []
    monkeypatch.setattr("vmdirac.loops.count.count", lambda store, *_: counted.append(store))
    with pytest.raises(AirflowFailException, match="vmdirac_notifiers"):
        run(monkeypatch, {"notify": "me"})
    assert len(counted) == 1


@pytest.mark.parametrize(
    ("notifier", "said"),
    [
        (f"{HERE}.Missing", "there is no notifier"),
        ("no.such.Notifier", "there is no notifier"),
        ("subprocess.Popen", "is no notifier of Airflow"),
    ],
)
def test_what_is_no_notifier_is_said(store: Store, monkeypatch: pytest.MonkeyPatch, notifier: str, said: str) -> None:
    with store.write() as session:
        alerts.raise_alert(session, AlertKind.MASS_SILENCE, "alpha", "many", utc_now())
    with pytest.raises(AirflowFailException, match=said):
        run(monkeypatch, {"notifier": notifier})


def test_a_wrong_variable_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowFailException, match="vmdirac_notifiers"):
        run(monkeypatch, {"notify": "me"})


def test_the_fleet_is_measured(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[tuple[str, tuple[str, ...]], float] = {}

    def gauge(name: str, value: float, *, tags: dict[str, str] | None = None) -> None:
        told[name, tuple((tags or {}).values())] = value

    monkeypatch.setattr(stats, "gauge", gauge)
    now = utc_now()
    with store.write() as session:
        for _ in range(2):
            add_instance(session, InstanceStatus.RUNNING, pod="pod.1")
        add_instance(session, InstanceStatus.HALTED, pod="old", at=now)
        add_instance(session, InstanceStatus.HALTED, pod="older", at=now - timedelta(hours=2))
        add_instance(session, InstanceStatus.RUNNING, pod="", requester_key="key")
        alerts.raise_alert(session, AlertKind.MASS_SILENCE, "alpha", "many", now)
    measure(store, now)
    assert told["vmdirac.instances", ("Running", "pod.1", "alpha")] == 2
    assert told["vmdirac.vms.Running.pod__1.alpha", ()] == 2
    assert told["vmdirac.vms.Stalled.pod__1.alpha", ()] == 0
    assert told["vmdirac.vms.Running.tasks.alpha", ()] == 1
    assert told["vmdirac.vms.Running.old.alpha", ()] == 0
    assert not any("older" in name for name, _ in told)
    assert (told["vmdirac.jobs.waiting", ()], told["vmdirac.alerts", ()]) == (0, 1)
