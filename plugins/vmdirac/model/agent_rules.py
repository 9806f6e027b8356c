"""How the agent on a VM is to behave: frozen with the launch, told with the answer to ``register``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class AgentRules:
    """What a pod says to the agents on its VMs.

    :param contact_deadline: seconds without an answer of the manager after which a VM without a job powers itself
        off.
    :param job_wrappers_location: directory on the VM where another pilot keeps a file ``*.jdl`` for each of its jobs;
        empty: the agent runs the jobs itself, and a pilot beside it is one job as long as it lives.
    :param pilot_stop_file: file on the VM that keeps a pilot from taking jobs; empty: its end is waited for.
    """

    contact_deadline: float = 7200.0
    job_wrappers_location: str = ""
    pilot_stop_file: str = ""

    def as_json(self) -> dict[str, Any]:
        """For :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AgentRules:
        """What :meth:`as_json` made, perhaps at a time when there were fewer or more of them."""
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in values.items() if key in known})
