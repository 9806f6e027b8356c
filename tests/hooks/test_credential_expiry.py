"""Until when a credential says that it is good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vmdirac.hooks.credential_expiry import expires_at

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def certificate(until: datetime) -> bytes:
    """In PEM, with its key after it as proxies have it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "proxy")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM) + private


def test_a_proxy_ends_with_the_first_of_its_certificates() -> None:
    proxy, user = certificate(NOW + timedelta(hours=12)), certificate(NOW + timedelta(days=300))
    assert expires_at(proxy + user) == expires_at(user + proxy) == NOW + timedelta(hours=12)


def test_a_token_ends_when_it_says() -> None:
    end = NOW + timedelta(hours=1)
    token = jwt.encode({"exp": end}, "k" * 32).encode()
    assert expires_at(token) == expires_at(token + b"\n") == end


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"a password", id="a password"),
        pytest.param(b"\xff\x00" * 10, id="bytes"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", id="a broken certificate"),
        pytest.param(jwt.encode({"sub": "a"}, "k" * 32).encode(), id="a token without an end"),
        pytest.param(b"a.b.c", id="what looks like a token"),
    ],
)
def test_what_does_not_say_is_not_known(content: bytes) -> None:
    assert expires_at(content) is None
