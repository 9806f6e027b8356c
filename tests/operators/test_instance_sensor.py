"""The sensor: it waits for instances of whomever, and fails at once when waiting is in vain."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.operators.instance_sensor import InstanceUnreachableError, VmdiracInstanceSensor
from vmdirac.store.database import Store


def made(store: Store, status: InstanceStatus) -> int:
    with store.write() as session:
        return add_instance(session, status).id


def sensor(ids: Any, **arguments: Any) -> VmdiracInstanceSensor:
    return VmdiracInstanceSensor(task_id="wait", instance_ids=ids, **arguments)


CONTEXT: Any = {}


def test_it_sees_where_they_are(store: Store) -> None:
    ids = [made(store, InstanceStatus.RUNNING), made(store, InstanceStatus.SUBMITTED)]
    assert not sensor(ids).poke(CONTEXT)
    assert sensor(str(ids), target="Submitted").poke(CONTEXT)
    assert sensor(ids[0]).poke(CONTEXT)


def test_what_cannot_get_there_any_more_fails_for_good(store: Store) -> None:
    id_ = made(store, InstanceStatus.STOPPING)
    with pytest.raises(InstanceUnreachableError, match=f"instance {id_} is Stopping: made by a test") as raised:
        sensor(id_).execute(CONTEXT)
    assert isinstance(raised.value, AirflowFailException), "and is not tried again"
    with pytest.raises(AirflowSkipException):
        sensor(id_, soft_fail=True).execute(CONTEXT)


@pytest.mark.usefixtures("store")
def test_nothing_to_wait_for_is_a_mistake() -> None:
    with pytest.raises(InstanceUnreachableError, match="there are no instances"):
        sensor(None).execute(CONTEXT)


def test_deferred_it_waits_as_long_as_its_timeout_says(store: Store) -> None:
    id_ = made(store, InstanceStatus.SUBMITTED)
    waiting = sensor(id_, deferrable=True, timeout=90, poke_interval=4)
    with pytest.raises(TaskDeferred) as raised:
        waiting.execute(CONTEXT)
    assert raised.value.timeout == timedelta(seconds=90)
    assert raised.value.trigger.serialize()[1] == {
        "instance_ids": [id_],
        "target": "Running",
        "poll_interval": 4,
        "stop_if_killed": None,
        "of_try": None,
    }
    waiting.resume_execution("execute_complete", {"event": {"instance_ids": [id_], "hopeless": []}}, CONTEXT)
    with pytest.raises(InstanceUnreachableError, match="gone"):
        waiting.resume_execution("execute_complete", {"event": {"instance_ids": [id_], "hopeless": ["gone"]}}, CONTEXT)
    with pytest.raises(AirflowSensorTimeout):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, CONTEXT)


def test_deferred_it_does_not_wait_for_what_is_there(store: Store) -> None:
    assert sensor(made(store, InstanceStatus.RUNNING), deferrable=True).execute(CONTEXT) is None
