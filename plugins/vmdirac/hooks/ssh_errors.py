"""What a visit over ssh can end with. ``str(error)`` is fit to be shown: no secret is in it."""

from __future__ import annotations

from vmdirac.model.ssh import HostKey


class SshError(Exception):
    """Base of all of them."""


class UnreachableError(SshError):
    """Nobody answers there, or not as an ssh server does. A VM that still boots is one."""


class HostKeyError(SshError):
    """The host shows a key that is not its own. Nothing was sent to it, not even who wants to log in.

    :param jump_host: it is one on the way to the VM.
    """

    def __init__(self, message: str, shown: HostKey, *, jump_host: bool = False) -> None:
        super().__init__(message)
        self.shown = shown
        self.jump_host = jump_host


class LoginRefusedError(SshError):
    """The host does not take our key, or the user is not known there."""


class BrokenError(SshError):
    """The connection ended, or took too long, after we were logged in."""


class LoginKeyError(SshError):
    """The connection in Airflow has no key that can be used."""
