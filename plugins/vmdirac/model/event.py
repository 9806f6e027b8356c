"""What is counted of the lives of instances, of ticks and of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    """What is counted; in brackets what an event's ``what`` is."""

    LAUNCH = "launch"
    """The cloud has made a VM."""
    LAUNCH_FAILURE = "launch_failure"
    """The cloud has refused one, or has given no answer (kind of error)."""
    DELETE_FAILURE = "delete_failure"
    """The cloud has refused a delete (kind of error)."""
    HALT = "halt"
    """The cloud has confirmed that a VM is gone (reason of its stop, or ``gone``: it went by itself)."""
    PHASE = "phase"
    """A VM has left a phase of its life, in which it was for so many seconds (phase)."""
    TICK = "tick"
    """A tick has ended, after so many seconds."""
    JOB = "job"
    """A job has ended that is not kept any more, after so many seconds of CPU (its status)."""
    DECISION = "decision"
    """Ticks that are not kept any more: VMs that they decided to start (``planned``), and how often something kept
    them from starting more (what it was)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event, to be counted once."""

    kind: EventKind
    at: datetime
    pod: str = ""
    endpoint: str = ""
    what: str = ""
    seconds: float = 0.0

    def tags(self) -> Mapping[str, str]:
        """What it is counted by, from the particular to the general."""
        return {_WHAT[self.kind]: self.what} if self.kind in _WHAT else {}


_WHAT = {
    EventKind.LAUNCH_FAILURE: "error",
    EventKind.DELETE_FAILURE: "error",
    EventKind.HALT: "reason",
    EventKind.PHASE: "phase",
}
