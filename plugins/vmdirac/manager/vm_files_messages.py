"""Messages of the VM interface that carry what a VM leaves behind."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Base64Bytes, Field

from vmdirac.manager.vm_messages import MAX_FILES, LeaseId, Message, UploadedFile

MAX_LOG: Final = 160 * 1024
"""Bytes of an agent's log. With base64 it is a small message: the limit of bodies is the first that counts."""


class LogRequest(Message):
    """``log``: the last of what the agent said of itself."""

    log: Annotated[Base64Bytes, Field(max_length=MAX_LOG)]


class OutputsRequest(Message):
    """What a job left in its output directory; ``lease``: by which the job is the VM's."""

    lease: LeaseId
    files: Annotated[list[UploadedFile], Field(max_length=MAX_FILES)]


class OutputTargetView(Message):
    """Where one file is to be put, with which headers. It is a secret: whoever has it may do it."""

    name: str
    url: str
    headers: dict[str, str]


class OutputsResponse(Message):
    """``accepted`` false: the job is no longer this VM's; ``targets``: one a file, in the order asked."""

    accepted: bool
    targets: list[OutputTargetView]
