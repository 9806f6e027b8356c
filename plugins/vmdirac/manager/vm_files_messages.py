"""Messages of the VM interface that carry what a VM leaves behind."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Base64Bytes, Field

from vmdirac.manager.vm_messages import Message

MAX_LOG: Final = 160 * 1024
"""Bytes of an agent's log. With base64 it is a small message: the limit of bodies is the first that counts."""


class LogRequest(Message):
    """``log``: the last of what the agent said of itself."""

    log: Annotated[Base64Bytes, Field(max_length=MAX_LOG)]
