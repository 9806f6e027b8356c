"""Puts the summary of a tick into the note of its DAG run: tasks cannot write notes, Airflow's scheduler can."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

log = logging.getLogger(__name__)

SCHEDULER_DAG = "vmdirac_scheduler"

LONGEST_NOTE = 1000
"""Characters that Airflow's column takes. With more, PostgreSQL would refuse what Airflow's scheduler writes then."""


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:
    """Called in Airflow's scheduler."""
    put_note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Called in Airflow's scheduler."""
    put_note(dag_run)


def put_note(dag_run: DagRun) -> None:
    """Add the summary to what the run's note says already. Without it the run is as good, so nothing here raises."""
    if dag_run.dag_id != SCHEDULER_DAG:
        return
    from sqlalchemy.exc import SQLAlchemyError

    from vmdirac.store import ticks
    from vmdirac.store.database import Store

    try:
        store = Store.from_config()
        try:
            with store.read() as session:
                note = ticks.note_of_run(session, dag_run.run_id)
        finally:
            store.close()
    except (SQLAlchemyError, ImportError) as error:
        log.warning("the run %s gets no note: %s", dag_run.run_id, type(error).__name__)
        return
    before = f"{dag_run.note}\n" if dag_run.note else ""
    room = LONGEST_NOTE - len(before)
    if note and room > 0:
        dag_run.note = before + (note if len(note) <= room else f"{note[: room - 1]}…")
