"""The phases of an instance's life, as time is counted in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vmdirac.model.states import DrainPhase, InstanceStatus


class Phase(StrEnum):
    """What an instance spends time in, in the order of its life."""

    LAUNCH = "launch"
    """From the decision until the cloud has taken the launch, all attempts together."""
    BOOT = "boot"
    """Until it calls in, or until somebody logs in to contextualize it."""
    CONTEXTUALIZATION = "contextualization"
    """Over ssh: from the first login until it calls in, all tries together."""
    RUN = "run"
    """It calls in, and nobody has asked it to stop."""
    STALLED = "stalled"
    """It was silent for too long, and has not been given up."""
    DRAIN_ASKED = "drain_asked"
    """It was asked to drain, and has not answered yet."""
    DRAIN_ACKNOWLEDGED = "drain_acknowledged"
    """It takes no more jobs, and finishes those that it has."""
    DRAIN_EMPTY = "drain_empty"
    """It has no job left, and its turn to be deleted has not come yet."""
    FORCED = "forced"
    """It was stopped without a drain, and its turn to be deleted has not come yet."""
    DELETE = "delete"
    """From before the cloud is asked to delete it until the cloud confirms that it is gone."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of an instance's history, as far as phases depend on it."""

    id: int
    at: datetime
    status: InstanceStatus
    drain_phase: DrainPhase | None = None
    error_kind: str | None = None


@dataclass(frozen=True, slots=True)
class Stay:
    """An instance's stay in a phase.

    :param ended: when it left it; ``None``: it is in it.
    :param last_id: the line of the history that ended it, or the newest one.
    """

    phase: Phase
    began: datetime
    ended: datetime | None
    last_id: int

    def seconds(self, now: datetime) -> float:
        """How long it has been. Never negative: the lines of a history may be by different clocks."""
        return max(0.0, ((self.ended or now) - self.began).total_seconds())
