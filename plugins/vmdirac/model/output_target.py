"""Where the files go that jobs leave in their output directories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class OutputTarget:
    """A store that takes files by HTTP.

    :param url: ``s3://bucket/prefix``, or an address below which a PUT is allowed.
    :param conn_id: of the ``aws`` connection that signs for S3.
    """

    url: str
    conn_id: str = ""

    @property
    def signed(self) -> bool:
        """Whether putting a file there takes a signature."""
        return self.url.startswith("s3://")

    def as_json(self) -> dict[str, Any]:
        """For :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any] | None) -> OutputTarget | None:
        """What :meth:`as_json` made; ``None`` for nothing."""
        return None if not values else cls(values["url"], values["conn_id"])

    def location(self, job: int, attempt: int, name: str) -> str:
        """Where a file goes. Each attempt has its own place: one that was given up can overwrite nothing."""
        return f"{self.url.rstrip('/')}/{job}/{attempt}/{quote(name, safe='')}"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a VM put somewhere: ``size`` in bytes, as the VM says."""

    name: str
    location: str
    size: int


@dataclass(frozen=True, slots=True)
class Permission:
    """The right to put one file, of one size, to one place, for a while: whoever has the address may do it."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
