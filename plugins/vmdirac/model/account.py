"""What an account on a cloud may have, and what of it is whose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vmdirac.model.cloud import Shape


class Measure(StrEnum):
    """What an account's limits are limits of, as people read it."""

    INSTANCES = "VMs"
    PROCESSORS = "processors"
    MEMORY = "MB of memory"


@dataclass(frozen=True, slots=True)
class Usage:
    """What some VMs use together."""

    instances: int = 0
    processors: int = 0
    memory_mb: int = 0

    @classmethod
    def of(cls, shape: Shape) -> Usage:
        """What one VM of this shape uses."""
        return cls(1, shape.processors, shape.memory_mb)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.instances + other.instances,
            self.processors + other.processors,
            self.memory_mb + other.memory_mb,
        )

    def __rmul__(self, vms: int) -> Usage:
        return Usage(vms * self.instances, vms * self.processors, vms * self.memory_mb)

    def in_measure(self, measure: Measure) -> int:
        """So much of it."""
        match measure:
            case Measure.INSTANCES:
                return self.instances
            case Measure.PROCESSORS:
                return self.processors
            case Measure.MEMORY:
                return self.memory_mb


@dataclass(frozen=True, slots=True)
class AccountLimit:
    """A limit that the cloud told, and what of it others than this installation used then."""

    measure: Measure
    limit: int
    others: int
