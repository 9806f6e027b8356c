"""Until when a credential is good, where it says so itself."""

from __future__ import annotations

from datetime import UTC, datetime

import jwt
from cryptography import x509


def expires_at(content: bytes) -> datetime | None:
    """The end of the first of its certificates to end, if it is PEM (an X.509 proxy has several), or of a JSON Web
    Token; ``None``: it does not say, or not in a way that is known here."""
    if b"-----BEGIN CERTIFICATE-----" in content:
        return _of_certificates(content)
    return _of_token(content)


def _of_certificates(content: bytes) -> datetime | None:
    try:
        return min(certificate.not_valid_after_utc for certificate in x509.load_pem_x509_certificates(content))
    except ValueError:
        return None


def _of_token(content: bytes) -> datetime | None:
    try:
        # Not ours to verify: the VM's user is told when it ends, and who gets it verifies it.
        claims = jwt.decode(content.decode().strip(), options={"verify_signature": False})
        end = claims.get("exp")
        return datetime.fromtimestamp(end, UTC) if isinstance(end, int | float) else None
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return None
