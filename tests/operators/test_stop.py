"""The tasks of the DAG that stops VMs: they look first, ask if there are many, and stop no more than was looked at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowFailException

from tests.fakes.rows import add_instance
from tests.servers.airflow_environment import CHECKOUT
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.stop import IDS, STOPPED, WHAT, VmdiracPreviewStopOperator, VmdiracStopOperator
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
        WHAT: f"3 go by force, whatever they are doing\n3 of pod pod on alpha: {ids[0]}-{ids[2]}\n"
        "3 jobs go back to the queue, when their VMs say that they end or are gone",
        IDS: ids,
    }
    assert look.choose_branch(few) == "stop"
    assert (few["ti"].xcoms[STOPPED], few["ti"].xcoms[IDS]) == (2, ids[:2])
    with store.read() as session:
        assert instances.counts(session) == {InstanceStatus.RUNNING: 3}, "they were only looked at"


def test_none_is_stopped_but_those_that_were_looked_at(store: Store) -> None:
    seen, _ = add(store, 2)
    asked = context(pods=["pod"], states=["Running"], why="the lab moves")
    VmdiracStopOperator(task_id="stop", looked_at=[seen], many=9).execute(asked)
    with store.read() as session:
        assert instances.counts(session) == {InstanceStatus.STOPPING: 1, InstanceStatus.RUNNING: 1}
        assert instances.history(session, seen)[-1].reason == "stopped by run manual__1: the lab moves"


def test_many_are_not_stopped_when_nobody_has_agreed(store: Store) -> None:
    ids = add(store, 3)
    with pytest.raises(AirflowFailException, match="more than 2, and nobody has agreed"):
        VmdiracStopOperator(task_id="stop", looked_at=ids, many=2).execute(context(pods=["pod"]))
    with store.read() as session:
        assert instances.counts(session) == {InstanceStatus.RUNNING: 3}
    VmdiracStopOperator(task_id="stop", looked_at=ids, many=2, agreed_by="bob").execute(context(pods=["pod"]))
    with store.read() as session:
        assert instances.counts(session) == {InstanceStatus.STOPPING: 3}


@pytest.mark.parametrize(
    ("answer", "agreed_by"),
    [
        (None, ""),
        ({"chosen_options": ["Reject"], "responded_by_user": {"name": "bob"}}, ""),
        ({"chosen_options": ["Approve"], "responded_by_user": {"name": "bob"}}, "bob"),
        ({"chosen_options": ["Approve"], "responded_by_user": None}, "somebody"),
    ],
)
def test_who_refused_has_not_agreed(answer: dict[str, Any] | None, agreed_by: str) -> None:
    """As the DAG passes on what was answered."""
    stop: Any = DagBag(str(CHECKOUT / "dags" / "vmdirac_stop.py")).dags["vmdirac_stop"].get_task("stop")
    asked = SimpleNamespace(xcom_pull=lambda **_: answer)
    assert stop.render_template(stop.agreed_by, {"ti": asked}) == agreed_by
    assert stop.many == 10


def test_who_asked_and_who_agreed_is_kept(store: Store) -> None:
    asked, also = add(store, 2)
    VmdiracStopOperator(task_id="stop", looked_at=[asked], many=9).execute(
        context(by="ann", instances=[asked], why="idle")
    )
    agreed = VmdiracStopOperator(task_id="stop", looked_at=[also], many=9, agreed_by="bob")
    agreed.execute(context(by="ann", instances=[also]))
    with store.read() as session:
        assert [instances.history(session, number)[-1].reason for number in (asked, also)] == [
            "stopped by ann in run manual__1: idle",
            "stopped by ann in run manual__1, as bob agreed: no reason was given",
        ]


def test_a_run_that_does_not_say_which_stops_none(store: Store) -> None:
    add(store, 1)
    with pytest.raises(AirflowFailException, match="say which instances are meant"):
        VmdiracStopOperator(task_id="stop", looked_at=[1], many=9).execute(context(pods=[], why="all"))
    with pytest.raises(AirflowFailException, match="Runing"):
        VmdiracStopOperator(task_id="stop", looked_at=[1], many=9).execute(context(states=["Runing"]))
