"""What we ask of a cloud and what it answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from vmdirac.model.errors import CloudError, ErrorKind


class CloudState(StrEnum):
    """A VM's state as its cloud sees it, in words that all clouds share."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPED = "stopped"
    TERMINATED = "terminated"
    ERROR = "error"
    UNKNOWN = "unknown"


ENDED = frozenset({CloudState.TERMINATED})
"""States in which a listed VM is gone: the cloud only still remembers it."""

DEAD = frozenset({CloudState.STOPPED, CloudState.ERROR})
"""States in which a VM exists, and holds quota, but no longer runs by itself."""


_LAUNCH_TOKEN: Final = re.compile(r"[0-9a-f-]{1,64}")


def is_launch_token(text: str) -> bool:
    """Whether a tag's value can be one of our launch tokens. Whoever may tag VMs may have written anything there."""
    return _LAUNCH_TOKEN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """One VM to be made, frozen when it was decided so that asking again sends the same bytes.

    :param token: launch token, the idempotency key; at most 64 characters of ``[0-9a-f-]``.
    :param name: deterministic name of the VM in the cloud.
    :param boot_image: what boots, as this cloud names it.
    :param flavor: the VM's shape, as this cloud names it.
    :param user_data: what the VM is given to boot with. May carry the single-use bootstrap secret: never logged.
    :param tags: the VM's tags (EC2) or metadata (OpenStack), ownership among them.
    :param max_price: price an hour above which it is not wanted, where the cloud has prices that change; a VM that
        would cost more ends with a CapacityError. ``None``: whatever it costs.
    :param sessionless_metadata: its image reads its user data from the metadata service in a way in which any program
        on the VM could be made to read it (EC2's IMDSv1): the cloud must allow that. Only where there is no other way.
    :param first: nobody has asked for it before, as far as is known. A cloud with an idempotency key of its own need
        not look for its VM then.
    """

    token: str
    name: str
    boot_image: str
    flavor: str
    user_data: str = field(repr=False)
    tags: tuple[tuple[str, str], ...] = ()
    max_price: float | None = None
    sessionless_metadata: bool = False
    first: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class LaunchOutcome:
    """What became of one launch: a cloud id or an error, never both, never neither."""

    token: str
    cloud_id: str | None = None
    error: CloudError | None = None

    def __post_init__(self) -> None:
        if bool(self.cloud_id) == (self.error is not None):
            raise ValueError("a launch ends with a cloud id or with an error")


@dataclass(frozen=True, slots=True)
class TerminateOutcome:
    """What became of one delete: asked for or found gone already (``error is None``), or an error."""

    cloud_id: str
    error: CloudError | None = None


@dataclass(frozen=True, slots=True)
class CloudInstance:
    """One VM of this installation as the cloud lists it.

    :param fault: what kind of error the cloud gives as the reason that it failed, where it gives one: clouds that
        accept a launch first and look for room later tell a lack of room in this way only.
    :param interrupted: the cloud took it back, or is about to (spot): no fault of the VM's.
    :param kept: somebody tagged it with :data:`KEEP_TAG`: it is to stay, whether or not an instance knows it.
    """

    cloud_id: str
    token: str
    name: str
    state: CloudState
    launched_at: datetime | None = None
    public_ip: str = ""
    private_ip: str = ""
    message: str = ""
    fault: ErrorKind | None = None
    interrupted: bool = False
    kept: bool = False


@dataclass(frozen=True, slots=True)
class VmKind:
    """What a VM of ours is, as far as it matters for the limits that it counts against.

    :param flavor: see :class:`LaunchRequest`, as ``max_price``.
    """

    flavor: str
    max_price: float | None = None


@dataclass(frozen=True, slots=True)
class CloudLimits:
    """Quota and use of the account, everybody's in it together, where the cloud tells them; ``None``: it doesn't."""

    instances: int | None = None
    instances_used: int | None = None
    processors: int | None = None
    processors_used: int | None = None
    memory_mb: int | None = None
    memory_mb_used: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """Processors and memory (MB) of a flavor; 0 MB: unknown."""

    processors: int
    memory_mb: int = 0


INSTALLATION_TAG = "vmdirac-installation"
KEEP_TAG = "vmdirac-keep"
TOKEN_TAG = "vmdirac-token"  # noqa: S105 - the name of a tag
