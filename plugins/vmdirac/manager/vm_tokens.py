"""The tokens by which a VM that has registered says who it is.

JSON Web Tokens signed with the installation's key (RFC 7519, HS256). A token names one instance and nothing else may be
done with it; it lives an hour and is renewed over the heartbeat. Never Airflow's own secret: whoever holds that could
make tokens for people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import jwt

from vmdirac.config.settings import SecretKey

AUDIENCE: Final = "vmdirac-vm"
LIFETIME: Final = timedelta(hours=1)
ALGORITHM: Final = "HS256"
LAUNCH_CLAIM: Final = "vmdirac-launch"
INSTANCE: Final = re.compile(r"[1-9][0-9]{0,18}")

REFUSED_BY_LIBRARY: Final = (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
"""What PyJWT and conversions raise on what is no token of ours: a kid, or a claim, can be any JSON."""


class TokenFlaw(StrEnum):
    """Why a token is not good."""

    TOKEN_MISSING = "there is none"  # noqa: S105
    TOKEN_TWICE = "there is more than one"  # noqa: S105
    TOKEN_INVALID = "it is not valid"  # noqa: S105
    TOKEN_KEY_UNKNOWN = "it is signed with a key that is not configured"  # noqa: S105
    TOKEN_EXPIRED = "it has expired"  # noqa: S105
    TOKEN_OF_ANOTHER = "it is another instance's"  # noqa: S105


class TokenRefusedError(Exception):
    """The token is not good; the message says why, without the token."""

    def __init__(self, flaw: TokenFlaw) -> None:
        super().__init__(flaw.value)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class VmToken:
    """A signed token and when it expires."""

    text: str = field(repr=False)
    expires_at: datetime


def issue(key: SecretKey, instance_id: int, now: datetime, launch_token: str = "") -> VmToken:
    """A new token for one instance.

    :param launch_token: by which the VM can be told even where its row is lost.
    """
    expires_at = now + LIFETIME
    claims = {"sub": str(instance_id), "aud": AUDIENCE, "iat": now, "exp": expires_at, LAUNCH_CLAIM: launch_token}
    text = jwt.encode(claims, key.value, algorithm=ALGORITHM, headers={"kid": key.key_id})
    return VmToken(text, expires_at)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """Who a good token speaks for, when it was issued and when it expires.

    :param signed_anew: whether a token of today would be signed with another key.
    """

    instance_id: int
    issued_at: datetime
    expires_at: datetime
    launch_token: str = ""
    signed_anew: bool = False

    def has_expired(self, now: datetime) -> bool:
        """Whether it is good for nothing any more but its own renewal."""
        return now >= self.expires_at

    def wants_renewal(self, now: datetime) -> bool:
        """Half-way through its life, so that one lost answer does no harm; and at once when the key has changed, so
        that the old one is soon needed no more."""
        return self.signed_anew or now - self.issued_at >= LIFETIME / 2


def verify(keys: Sequence[SecretKey], text: str, now: datetime, grace: timedelta = timedelta(0)) -> VerifiedToken:
    """Who the token speaks for.

    :param grace: for so long after its end it is not refused; the caller must ask whether it has expired.
    :raises TokenRefusedError: if it is forged, expired, or not meant for us.
    """
    try:
        key_id = jwt.get_unverified_header(text).get("kid")
        key = next((key for key in keys if key.key_id == key_id), None)
        if key is None:
            raise TokenRefusedError(TokenFlaw.TOKEN_KEY_UNKNOWN)
        claims = jwt.decode(
            text,
            key.value,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            # Time is ours to judge: the same clock decides everything else about the instance.
            options={
                "verify_exp": False,
                "verify_iat": False,
                "strict_aud": True,
                "require": ["exp", "iat", "sub", "aud"],
            },
        )
        if not INSTANCE.fullmatch(claims["sub"]):
            raise TokenRefusedError(TokenFlaw.TOKEN_INVALID)
        instance_id = int(claims["sub"])
        issued_at = datetime.fromtimestamp(claims["iat"], UTC)
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        launch_token = str(claims.get(LAUNCH_CLAIM, ""))
    except REFUSED_BY_LIBRARY:
        raise TokenRefusedError(TokenFlaw.TOKEN_INVALID) from None
    if now - grace >= expires_at:
        raise TokenRefusedError(TokenFlaw.TOKEN_EXPIRED)
    return VerifiedToken(instance_id, issued_at, expires_at, launch_token, signed_anew=key != keys[0])
