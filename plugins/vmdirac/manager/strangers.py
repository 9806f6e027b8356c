"""Calls of VMs that are ours and that no instance knows: the database may be older than they are.

Who they are is proved by what only we could have given them, a signed token or the bootstrap secret. They are asked to
try again later, so that their jobs go on until somebody has looked, and their calls spare them from being deleted.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from vmdirac.config.settings import SecretKey
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret
from vmdirac.store import orphans

log = logging.getLogger(__name__)


def note_call(session: Session, instance_id: int, launch_token: str, now: datetime) -> None:
    """A VM with a good token has called for an instance that is not there."""
    known = orphans.note_call(session, launch_token, now)
    listed = "which a list has shown" if known else "which no list has shown yet"
    log.warning("a VM of ours, %s, calls for instance %s, which is not there", listed, instance_id)


def note_registration(
    session: Session, instance_id: int, secret: str, keys: Sequence[SecretKey], now: datetime
) -> bool:
    """Whether the secret is the one of an orphan that was listed; its call is noted."""
    found = False
    for token in orphans.tokens(session):
        # All are looked at, whatever is found: how long it takes tells nothing.
        for key in keys:
            if hmac.compare_digest(bootstrap_secret(key, token).encode(), secret.encode()) and not found:
                note_call(session, instance_id, token, now)
                found = True
    return found
