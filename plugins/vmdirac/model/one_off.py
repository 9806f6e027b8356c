"""VMs that a task of a DAG asks for by itself, outside the loops: who asked, and for what."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import asdict, dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Requester:
    """One instance of a task in one run: the same in each of its tries, also after it was cleared.

    :param map_index: which one of a mapped task; -1: it is not mapped.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"task {self.task_id}{mapped} of {self.dag_id}, run {self.run_id}"

    @property
    def key(self) -> str:
        """By which all its instances are found."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def launch_token(self, installation_id: str, number: int, generation: int) -> str:
        """The launch token of its VM with this number. Whoever asks for the same VM again, after a crash or in a later
        try, has the same token; one that takes the place of a VM that is gone has another generation."""
        named = json.dumps([installation_id, *asdict(self).values(), number, generation])
        return str(uuid.uuid5(_NAMESPACE, named))


_NAMESPACE = uuid.UUID("5d0fc2bd-6a35-4f7e-9df7-0f4d0b0f9a3e")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for: VMs that are alike.

    :param name: of the VMs in the cloud, which get a part of their token behind it.
    :param boot_image: what boots, as the endpoint's cloud names it; so ``flavor``.
    :param user_data: given to them as it is. It is kept in the database: nothing secret.
    :param max_lifetime: from the launch; then they are stopped, whatever they do.
    :param max_price: an hour, where prices change; ``None``: whatever they cost.
    """

    endpoint: str
    boot_image: str
    flavor: str
    count: int
    max_lifetime: timedelta
    user_data: str = ""
    name: str = "vmdirac"
    max_price: float | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"count must be 1 or more, not {self.count}")
        if self.max_lifetime < timedelta(minutes=1):
            raise ValueError(f"max_lifetime must be a minute or more, not {self.max_lifetime}")
        if not 1 <= len(self.name) <= MAX_NAME:
            raise ValueError(f"name must have 1 to {MAX_NAME} characters")


MAX_NAME = 50
"""What all clouds take, with a part of the token behind it, also as a host's name."""
