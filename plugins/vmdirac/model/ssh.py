"""How a VM is reached over ssh, by which keys it is known, and how far its contextualization is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

SSH: Final = "ssh"
"""The context method of images that are contextualized over ssh."""


class AddressChoice(StrEnum):
    """Which of a VM's addresses is used. AUTO: the public one if there is one, else the private one."""

    AUTO = "auto"
    PUBLIC = "public"
    PRIVATE = "private"


class HostKeySource(StrEnum):
    """Where it is known from by which keys a host is to be known."""

    CONFIGURED = "configured"
    CONSOLE = "console"
    FIRST_USE = "first_use"


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key of a host.

    :param kind: ``ed25519``, ``ecdsa`` or ``rsa``; empty: not known.
    :param fingerprint: ``SHA256:`` and 43 characters, as ssh-keygen writes it.
    """

    kind: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.kind.upper()})" if self.kind else self.fingerprint


@dataclass(frozen=True, slots=True)
class JumpHost:
    """A host through which VMs are reached.

    :param host_key: the only key that it may show.
    :param connection: id of the Airflow connection with the key to log in with; empty: the same as for the VM.
    """

    host: str
    user: str
    host_key: HostKey
    port: int = 22
    connection: str = ""


@dataclass(frozen=True, slots=True)
class SshAccess:
    """How VMs of an image are reached.

    :param sudo: the script runs as root by ``sudo -n``.
    :param connection: id of the Airflow connection with the key to log in with.
    :param trust_on_first_use: where the cloud does not tell a VM's host keys, the first one that it shows is kept.
    :param jumps: hosts to go through, the first one first.
    :param connect_timeout: seconds for the TCP connection.
    :param banner_timeout: seconds from then until the server has said who it is and the keys are exchanged, each.
    :param auth_timeout: seconds for logging in.
    :param command_timeout: seconds without an answer to one command or transfer.
    """

    user: str = "root"
    port: int = 22
    address: AddressChoice = AddressChoice.AUTO
    sudo: bool = False
    connection: str = ""
    trust_on_first_use: bool = True
    jumps: tuple[JumpHost, ...] = ()
    connect_timeout: float = 10.0
    banner_timeout: float = 15.0
    auth_timeout: float = 15.0
    command_timeout: float = 30.0

    @property
    def connections(self) -> frozenset[str]:
        """Ids of all connections whose keys are needed."""
        return frozenset({self.connection, *(jump.connection for jump in self.jumps if jump.connection)})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SshAccess:
        """What :func:`dataclasses.asdict` made of one."""
        jumps = tuple(JumpHost(**{**jump, "host_key": HostKey(**jump["host_key"])}) for jump in values["jumps"])
        return cls(**{**values, "address": AddressChoice(values["address"]), "jumps": jumps})

    def address_of(self, public_ip: str, private_ip: str) -> str:
        """Where to connect to; empty: the VM has no such address, or none yet."""
        if self.address is AddressChoice.PUBLIC:
            return public_ip
        if self.address is AddressChoice.PRIVATE:
            return private_ip
        return public_ip or private_ip


@dataclass(frozen=True, slots=True)
class SshContext:
    """How far the contextualization of one instance is.

    :param host_keys: keys by which its VM is known; none: not known yet.
    :param host_key_source: where they are known from.
    :param tries: how often the script was to be started.
    :param failures: visits in a row that came to nothing.
    :param visited_at: when somebody last tried to log in.
    :param begun_at: when the present try began.
    :param exit_status: how the script ended in the last try that came to an end.
    :param finished: the script of the present try has ended.
    """

    instance_id: int
    host_keys: tuple[HostKey, ...] = ()
    host_key_source: HostKeySource | None = None
    tries: int = 0
    failures: int = 0
    visited_at: datetime | None = None
    begun_at: datetime | None = None
    exit_status: int | None = None
    finished: bool = False
