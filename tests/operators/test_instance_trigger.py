"""The trigger: it looks off the event loop, waits while the store is out of reach, and stops what is not waited for."""

from __future__ import annotations

import asyncio
import importlib
import threading
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from sqlalchemy.exc import OperationalError

from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.operators import instances_wait
from vmdirac.operators.instance_trigger import VmdiracInstanceTrigger
from vmdirac.policy.one_off import Progress
from vmdirac.store import instances
from vmdirac.store.database import Store

pytestmark = pytest.mark.slow


def made(store: Store, status: InstanceStatus) -> int:
    with store.write() as session:
        return add_instance(session, status, requester_key="key", pod="").id


def trigger(ids: list[int], **arguments: Any) -> VmdiracInstanceTrigger:
    default = {"target": "Running", "poll_interval": 0}
    return VmdiracInstanceTrigger(instance_ids=ids, **{**default, **arguments})


def fired(waiting: VmdiracInstanceTrigger) -> Any:
    """What its only event carries."""

    async def collect() -> list[TriggerEvent]:
        return [event async for event in waiting.run()]

    [event] = asyncio.run(collect())
    return event.payload


def test_it_fires_when_all_are_there(store: Store) -> None:
    ids = [made(store, InstanceStatus.RUNNING) for _ in range(2)]
    assert fired(trigger(ids)) == {"instance_ids": ids, "hopeless": []}


def test_it_fires_with_the_reason_when_one_cannot_get_there(store: Store) -> None:
    ids = [made(store, InstanceStatus.SUBMITTED), made(store, InstanceStatus.HALTED)]
    assert fired(trigger(ids))["hopeless"] == [f"instance {ids[1]} is Halted: made by a test"]


def test_it_waits_meanwhile_also_while_the_store_is_out_of_reach(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Progress | OperationalError] = [
        Progress((1,), ()),
        OperationalError("select", {}, Exception("down")),
        Progress((1,), ()),
        Progress((), ()),
    ]
    threads = set()

    def look(*_: Any) -> Progress:
        threads.add(threading.get_ident())
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(instances_wait, "look", look)
    assert fired(trigger([1])) == {"instance_ids": [1], "hopeless": []}
    assert looks == []
    assert threading.get_ident() not in threads, "the event loop would have stood still"


def test_when_the_waiting_task_is_ended_they_are_stopped(store: Store) -> None:
    id_ = made(store, InstanceStatus.SUBMITTED)
    asyncio.run(trigger([id_], stop_if_killed="task start").on_kill())
    with store.read() as session:
        item = instances.get(session, id_)
        assert item is not None
        assert (item.status, item.forced) == (InstanceStatus.STOPPING, True)
        assert instances.history(session, id_)[-1].reason == "task start was ended while it waited"


def test_but_not_what_a_later_try_has_taken_over(store: Store) -> None:
    with store.write() as session:
        id_ = add_instance(session, InstanceStatus.SUBMITTED, requester_key="key", requester_try=2, pod="").id
    for of_try, status in ((1, InstanceStatus.SUBMITTED), (2, InstanceStatus.STOPPING)):
        asyncio.run(trigger([id_], stop_if_killed="task start", of_try=of_try).on_kill())
        with store.read() as session:
            found = instances.get(session, id_)
        assert found is not None
        assert found.status is status


def test_or_left_where_they_are_somebody_elses(store: Store) -> None:
    id_ = made(store, InstanceStatus.SUBMITTED)
    asyncio.run(trigger([id_]).on_kill())
    with store.read() as session:
        found = instances.get(session, id_)
    assert found is not None
    assert found.status is InstanceStatus.SUBMITTED


def test_it_goes_through_the_database_and_comes_back(store: Store) -> None:
    before = trigger([1, 2], poll_interval=7.5, stop_if_killed="me", of_try=3)
    path, arguments = before.serialize()
    module, _, name = path.rpartition(".")
    after = getattr(importlib.import_module(module), name)(**arguments)
    assert after.serialize() == before.serialize()
