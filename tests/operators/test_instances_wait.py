"""A task that waits for instances outlives a database that is away for a while."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.fakes.rows import add_instance
from vmdirac.model.states import InstanceStatus
from vmdirac.operators import instances_wait
from vmdirac.policy.one_off import Progress
from vmdirac.store.database import Store


def test_while_the_store_cannot_be_read_it_waits_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.write() as session:
        row = add_instance(session, InstanceStatus.RUNNING)
    look, failures = instances_wait.look, [OperationalError("SELECT", {}, Exception("the server restarts"))]

    def look_or_fail(*arguments: Any) -> Progress:
        if failures:
            raise failures.pop()
        return look(*arguments)

    monkeypatch.setattr(instances_wait, "look", look_or_fail)
    assert instances_wait.wait(store, [row.id], "Running", 0) == Progress((), ())
    assert not failures
