"""When credentials are read again, and when a VM asks for them again."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from vmdirac.model.credential import Credential, CredentialSource, SourceKind

READ_AGAIN: Final = timedelta(seconds=30)
"""A file or a password may change at any time, and is read for no two VMs within this."""

TRIED_AGAIN: Final = timedelta(seconds=10)
"""What could not be read."""

ASK_AGAIN: Final = timedelta(minutes=15)
"""At the latest: a credential can be replaced long before its end."""

ASK_SOON: Final = timedelta(minutes=1)
"""At the soonest, also while nobody renews what is about to end."""


LOOK_EVERY: Final = timedelta(minutes=1)
"""So often it is seen whether the credentials of all pods can be read, whether or not a VM asks for them."""

NOBODYS_ALERT: Final = 3 * LOOK_EVERY
"""An alert that nobody has renewed for so long is of an API server that is there no more."""


def subject_of(pod: str, credential: str) -> str:
    """What an alert of a credential that cannot be read is about."""
    return f"credential {credential} of pod {pod}"


def fresh_until(source: CredentialSource, credential: Credential) -> datetime:
    """Until when it is not read again.

    A command makes a new one each time, so it is not asked while the last one is good for long enough.
    """
    soon = credential.read_at + READ_AGAIN
    if source.kind is SourceKind.COMMAND and credential.expires_at is not None:
        return max(soon, credential.expires_at - source.renew_before)
    return soon


def next_in(found: Iterable[tuple[CredentialSource, Credential]], now: datetime, *, failed: bool) -> float:
    """In how many seconds a VM is to ask again: early enough before the first of its credentials ends.

    :param failed: whether one of them could not be read.
    """
    if failed:
        return ASK_SOON.total_seconds()
    due = [
        credential.expires_at - source.renew_before - now
        for source, credential in found
        if credential.expires_at is not None
    ]
    return max(ASK_SOON, min([ASK_AGAIN, *due])).total_seconds()
