"""What somebody asks to be stopped, or not to be stopped after all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum

from vmdirac.model.states import InstanceStatus


@dataclass(frozen=True, slots=True)
class Selection:
    """Which instances are meant: those that fit all that is said. What is empty does not matter, but not everything may
    be empty: nobody stops all by saying nothing.

    :param ids: instances by their numbers.
    :param pods: and others by their names.
    """

    ids: tuple[int, ...] = ()
    pods: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    statuses: tuple[InstanceStatus, ...] = ()

    def __post_init__(self) -> None:
        if not any(getattr(self, field.name) for field in fields(self)):
            raise ValueError("say which instances are meant: ids, pods, endpoints or states")

    def __str__(self) -> str:
        parts = [
            f"{field.name} {', '.join(map(str, values))}"
            for field in fields(self)
            if (values := getattr(self, field.name))
        ]
        return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class StopWish:
    """A stop as a person asked for it.

    :param forced: whatever the VMs are doing; their jobs are handed back when they say that they end, or are gone.
    :param who: is named in the history, as is ``why``.
    """

    selection: Selection
    who: str
    why: str
    forced: bool = False


class StopStep(StrEnum):
    """What a stop does to an instance."""

    DRAIN = "drain"
    """It takes no more jobs, finishes those that it has, and goes."""
    END = "end"
    """It goes at once: it has not called in yet, so nothing runs on it."""
    FORCE = "force"
    """It goes without being asked, whatever it is doing."""
    RETIRE = "retire"
    """The cloud is not asked for it, or, if it was, the VM goes when it is found."""
