"""The tasks of the DAG that stops VMs: they look first, ask if there are many, and stop no more than was looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.stop import STOPPED, WHAT, VmdiracPreviewStopOperator, VmdiracStopOperator
from vmdirac.store import instances
from vmdirac.store.database import Store


class TaskInstance:
    def __init__(self) -> None:
        self.xcoms: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def context(by: str | None = None, **params: Any) -> Any:
    run = SimpleNamespace(triggering_user_name=by)
    return {"run_id": "manual__1", "dag_run": run, "params": params, "ti": TaskInstance()}


def add(store: Store, number: int) -> list[int]:
    with store.write() as session:
        return [add_instance(session, jobs=1).id for _ in range(number)]


def test_few_are_stopped_at_once_many_when_somebody_has_agreed(store: Store) -> None:
    ids = add(store, 3)
    look = VmdiracPreviewStopOperator(task_id="preview", many=2, if_many="approve", if_few="stop")
    many, few = context(pods=["pod"], force=True), context(instances=ids[:2], pods=None)
    assert look.choose_branch(many) == "approve"
    assert many["ti"].xcoms == {
        STOPPED: 3,
        WHAT: "3 go at once, whatever they are doing\n3 of pod pod on alpha\n3 jobs go back to the queue",
    }
    assert look.choose_branch(few) == "stop"
    assert few["ti"].xcoms[STOPPED] == 2
    with store.read() as session:
        assert instances.counts(session) == {InstanceStatus.RUNNING: 3}, "they were only looked at"


def test_no_more_are_stopped_than_were_looked_at(store: Store) -> None:
    ids = add(store, 3)
    asked = context(pods=["pod"], states=["Running"], why="the lab moves")
    with pytest.raises(AirflowFailException, match="3 VMs fit by now, and 2 were agreed to"):
        VmdiracStopOperator(task_id="stop", at_most="2").execute(asked)
    VmdiracStopOperator(task_id="stop", at_most="3").execute(asked)
    with store.read() as session:
        assert instances.counts(session) == {InstanceStatus.STOPPING: 3}
        assert instances.history(session, ids[0])[-1].reason == "stopped by run manual__1: the lab moves"


def test_who_asked_and_who_agreed_is_kept(store: Store) -> None:
    asked, also = add(store, 2)
    VmdiracStopOperator(task_id="stop", at_most="1").execute(context(by="ann", instances=[asked], why="idle"))
    VmdiracStopOperator(task_id="stop", at_most="1", agreed_by="bob").execute(context(by="ann", instances=[also]))
    with store.read() as session:
        assert [instances.history(session, number)[-1].reason for number in (asked, also)] == [
            "stopped by ann in run manual__1: idle",
            "stopped by ann in run manual__1, as bob agreed: no reason was given",
        ]


def test_a_run_that_does_not_say_which_stops_none(store: Store) -> None:
    add(store, 1)
    with pytest.raises(AirflowFailException, match="say which instances are meant"):
        VmdiracStopOperator(task_id="stop", at_most="9").execute(context(pods=[], why="all"))
    with pytest.raises(AirflowFailException, match="Runing"):
        VmdiracStopOperator(task_id="stop", at_most="9").execute(context(states=["Runing"]))
