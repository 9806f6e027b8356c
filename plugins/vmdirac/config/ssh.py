"""How VMs of an image are reached over ssh: ``ssh`` of an image whose ``context_method`` is ssh."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from vmdirac.config.fields import ConfigModel, Name, Word
from vmdirac.config.settings import DEFAULT_SSH_CONNECTION
from vmdirac.model.ssh import AddressChoice, JumpHost, SshAccess
from vmdirac.policy.host_keys import parse_host_key

Port = Annotated[int, Field(ge=1, le=65535)]
Timeout = Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)]


def _is_a_user(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9._-]{0,31}\$?", name):
        raise ValueError(f"{name!r} is not the name of a user")
    return name


User = Annotated[Word, AfterValidator(_is_a_user)]


def _is_a_host_key(text: str) -> str:
    if parse_host_key(text) is None:
        raise ValueError(
            "it must be a fingerprint as `ssh-keygen -lf` says it, SHA256:…, or a whole public key, ssh-ed25519 AAAA…"
        )
    return text


HostKeyText = Annotated[str, Field(max_length=4096), AfterValidator(_is_a_host_key)]


class JumpConfig(ConfigModel):
    """A host to go through. ``host_key``: the key by which it is known, or its fingerprint; it is never guessed.
    ``connection``: connection id of the key to log in with; default: the same as for the VMs."""

    host: Word
    port: Port = 22
    user: User
    host_key: HostKeyText
    connection: Name | None = None

    def jump(self) -> JumpHost:
        """The host as the loops see it."""
        key = parse_host_key(self.host_key)
        if key is None:
            raise ValueError("a host key that was validated cannot be read")
        return JumpHost(self.host, self.user, key, self.port, self.connection or "")


class SshConfig(ConfigModel):
    """How VMs are reached; see :class:`vmdirac.model.ssh.SshAccess`.

    ``sudo``: default: unless the user is root. ``connection``: id of the connection that holds the key to log in with.
    ``jump``: hosts to go through, the first one first.
    """

    user: User = "root"
    port: Port = 22
    address: AddressChoice = AddressChoice.AUTO
    sudo: bool | None = None
    connection: Name = DEFAULT_SSH_CONNECTION
    trust_on_first_use: bool = True
    jump: Annotated[tuple[JumpConfig, ...], Field(max_length=5)] = ()
    connect_timeout: Timeout = 10.0
    banner_timeout: Timeout = 15.0
    auth_timeout: Timeout = 15.0
    command_timeout: Timeout = 30.0

    def access(self) -> SshAccess:
        """The same as the loops see it."""
        return SshAccess(
            user=self.user,
            port=self.port,
            address=self.address,
            sudo=self.user != "root" if self.sudo is None else self.sudo,
            connection=self.connection,
            trust_on_first_use=self.trust_on_first_use,
            jumps=tuple(jump.jump() for jump in self.jump),
            connect_timeout=self.connect_timeout,
            banner_timeout=self.banner_timeout,
            auth_timeout=self.auth_timeout,
            command_timeout=self.command_timeout,
        )
