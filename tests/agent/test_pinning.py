"""A server is known by its public key, whatever certificate it shows."""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vmdirac.agent.pinning import pin_of

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)


def certificate(key: Key, *, name: str = "manager", extensions: bool = True) -> bytes:
    """In DER."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
    )
    if extensions:
        names = [x509.DNSName(f"host-{number}.example.org") for number in range(200)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return signed.public_bytes(Encoding.DER)


def expected(key: Key) -> str:
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256//{base64.b64encode(hashlib.sha256(info).digest()).decode()}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP256R1()),
        lambda: ec.generate_private_key(ec.SECP521R1()),
        ed25519.Ed25519PrivateKey.generate,
        lambda: rsa.generate_private_key(65537, 2048),
    ],
)
@pytest.mark.parametrize("extensions", [True, False])
def test_it_is_the_digest_of_the_key_whatever_else_is_in_the_certificate(
    make: Callable[[], Key], *, extensions: bool
) -> None:
    key = make()
    for name in ("a", "b" * 64):
        assert pin_of(certificate(key, name=name, extensions=extensions)) == expected(key)


def test_what_is_no_certificate_has_no_pin() -> None:
    whole = certificate(ec.generate_private_key(ec.SECP256R1()))
    for cut in range(len(whole)):
        with pytest.raises((IndexError, ValueError)):
            pin_of(whole[:cut])
