"""Why a call of a VM is not served."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """Why a VM's call is not served."""

    WRONG_SECRET = "the secret is not this instance's"  # noqa: S105
    OTHER_NONCE = "this instance has registered already"
    REPEATED_TOO_LATE = "this instance has registered already, and that is long ago"
    BOOTED_TOO_LATE = "the boot deadline of this instance is over"
    TOO_EARLY = "the launch is not recorded yet"
    GONE = "this instance is over"
    NOT_THERE = "this instance is not known: try again later"


class RefusedError(Exception):
    """The VM's call is not served."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
