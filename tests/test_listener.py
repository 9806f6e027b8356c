"""The note of a scheduler's run: Airflow's scheduler calls us to put it there, and must never be harmed by it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clock import START
from vmdirac import listener
from vmdirac.store import ticks
from vmdirac.store.database import Store
from vmdirac.store.tables import Base


@dataclass
class Run:
    """What is used of Airflow's DagRun."""

    dag_id: str = "vmdirac_scheduler"
    run_id: str = "manual__1"
    note: str | None = None


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'vmdirac.db'}"
    monkeypatch.setenv("AIRFLOW__VMDIRAC__SQL_ALCHEMY_CONN", url)
    return url


@pytest.fixture
def store(url: str) -> Store:
    store = Store(url)
    Base.metadata.create_all(store.engine)
    return store


def noted(store: Store, note: str) -> None:
    with store.write() as session:
        ticks.put_note(session, ticks.begin(session, START, "manual__1"), note, START)


def told(run: Run, what: Any = listener.on_dag_run_success) -> str | None:
    what(dag_run=run, msg="")
    return run.note


@pytest.mark.parametrize("what", [listener.on_dag_run_success, listener.on_dag_run_failed])
def test_it_is_what_came_of_the_runs_tick(store: Store, what: Any) -> None:
    noted(store, "12 waiting, 3 started on alpha")
    assert told(Run(), what) == "12 waiting, 3 started on alpha"


def test_what_a_person_wrote_stays(store: Store) -> None:
    noted(store, "nothing to do")
    assert told(Run(note="by hand, for Ann")) == "by hand, for Ann\nnothing to do"


def test_other_dags_and_runs_without_a_tick_get_none(store: Store) -> None:
    noted(store, "nothing to do")
    assert told(Run(dag_id="somebody_elses")) is None
    assert told(Run(run_id="manual__2")) is None
    assert told(Run(run_id="manual__2", note="mine")) == "mine"


@pytest.mark.parametrize("before", [None, "x" * 400, "x" * 998, "x" * 999, "x" * 1000])
def test_it_is_never_longer_than_airflow_takes_and_leaves_what_was_there(store: Store, before: str | None) -> None:
    """Airflow's column is checked here, for a note too long would break its scheduler."""
    from airflow.models.dagrun import DagRunNote

    assert DagRunNote.__table__.c.content.type.length == listener.LONGEST_NOTE
    noted(store, "12 waiting, " + ", ".join(f"1 started on site-{number}" for number in range(100)))
    note = told(Run(note=before))
    assert note is not None
    assert len(note) == (1000 if before is None or len(before) < 999 else len(before))
    assert note.startswith(before or "12 waiting")
    assert before is not None or note.endswith("…")


def test_a_database_that_cannot_be_read_costs_only_the_note(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert told(Run()) is None
    assert "the run manual__1 gets no note" in caplog.text
