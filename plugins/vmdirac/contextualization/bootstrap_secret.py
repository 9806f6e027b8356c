"""The single-use secret by which a VM proves, once, that it is the instance that was launched.

It is derived, not stored: HMAC-SHA256(installation key, launch token). So a launch that is asked for again sends the
same bytes, and the database holds only what is needed to recognize the secret, not the secret.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from vmdirac.config.settings import SecretKey

PLACEHOLDER = "@VMDIRAC_BOOTSTRAP_SECRET@"
"""Stands for the secret in user data that is stored; replaced in memory, right before the launch."""

SECRET_LENGTH = hashlib.sha256().digest_size * 2
"""Characters of a secret."""


class UnknownKeyError(ValueError):
    """The key that a secret was derived from is no longer configured."""


def bootstrap_secret(key: SecretKey, launch_token: str) -> str:
    """256 bits in hexadecimal, different for each launch."""
    return hmac.new(key.value, b"vmdirac bootstrap:" + launch_token.encode(), hashlib.sha256).hexdigest()


def fingerprint(secret: str) -> str:
    """What the database keeps of a secret. The secret is random enough for a plain hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret(candidate: str, stored_fingerprint: str) -> bool:
    """Whether ``candidate`` is the secret of this fingerprint, in constant time."""
    return hmac.compare_digest(fingerprint(candidate), stored_fingerprint)


def key_by_id(keys: Sequence[SecretKey], key_id: str) -> SecretKey:
    """The configured key with this id.

    :raises UnknownKeyError: if it was taken out of ``[vmdirac] secret_key`` while launches still need it.
    """
    for key in keys:
        if key.key_id == key_id:
            return key
    raise UnknownKeyError(
        f"the key {key_id} that a launch began with is no longer in [vmdirac] secret_key;"
        " put it back at the end of the list until all VMs launched with it are Halted"
    )
