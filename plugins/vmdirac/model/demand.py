"""The demand that a job source reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vmdirac.model.requirements import TaskQueue


@dataclass(frozen=True, slots=True)
class Demand:
    """Task queues with waiting jobs, and when the job source looked at them (UTC).

    :param unmatched: jobs that wait there and that no offer serves, as far as the source knows.
    """

    task_queues: tuple[TaskQueue, ...]
    observed_at: datetime
    unmatched: int = 0

    @property
    def jobs(self) -> int:
        """All waiting jobs that some offer serves."""
        return sum(queue.jobs for queue in self.task_queues)
