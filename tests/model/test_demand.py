"""The demand that a job source reports."""

from datetime import UTC, datetime

from vmdirac.model.demand import Demand
from vmdirac.model.requirements import Requirements, TaskQueue

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_all_waiting_jobs() -> None:
    queues = (TaskQueue("1", Requirements(1), 3), TaskQueue("2", Requirements(2), 4))
    assert Demand(queues, NOW).jobs == 7
    assert Demand((), NOW).jobs == 0
