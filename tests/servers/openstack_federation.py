"""Who vouches for federated users of the tests' Keystone: an issuer of OIDC tokens, and an authority of certificates.

Their keys are in a directory of the server's, so that tests that use a running one can have tokens and certificates.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

ISSUER, AUDIENCE = "https://issuer.example", "keystone"
ENTITLEMENT = "urn:mace:example.org:group:vmdirac:role=member"
AUTHORITY = "Authority of the tests"
OIDC_PROVIDER, CERTIFICATE_PROVIDER = "issuer", "authority"
"""What Keystone calls them."""

USERS = "federated"
"""The group of all that they vouch for."""


class Federation:
    """Keys and certificates in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def create(self) -> None:
        self.directory.mkdir(parents=True)
        issuer = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        (self.directory / "issuer.key").write_bytes(_private(issuer))
        public = issuer.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (self.directory / "issuer.pem").write_bytes(public)
        create_authority(self.directory / "authority", AUTHORITY)
        self.certificate(self.directory / "server.pem", "127.0.0.1")

    def token(self, subject: str = "somebody", *, seconds: float = 3600, key: Any = None, **claims: Any) -> str:
        """An access token of the issuer (or one signed with another key), as it is valid for so many seconds."""
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "exp": time.time() + seconds,
            "eduperson_entitlement": [ENTITLEMENT],
        }
        return jwt.encode({**said, **claims}, key or (self.directory / "issuer.key").read_text(), algorithm="RS256")

    @property
    def authority(self) -> Path:
        """The file that says whose certificates are to be trusted."""
        return self.directory / "authority.pem"

    def certificate(self, file: Path, name: str, **options: Any) -> Path:
        """Write a certificate of the authority and its key, for a user or for an address."""
        return certify(self.directory / "authority", file, name, **options)


def create_authority(stem: Path, name: str) -> None:
    """Write the ``.key`` and the ``.pem`` of an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    certificate = _builder(subject, subject, key).add_extension(x509.BasicConstraints(True, 0), critical=True)
    stem.with_suffix(".key").write_bytes(_private(key))
    stem.with_suffix(".pem").write_bytes(_pem(certificate.sign(key, hashes.SHA256())))


def certify(authority: Path, file: Path, name: str, *, days: float = 7) -> Path:
    """Write a certificate, which is valid for so many days, and its key into one file."""
    issuer = x509.load_pem_x509_certificate(authority.with_suffix(".pem").read_bytes())
    issuer_key: Any = serialization.load_pem_private_key(authority.with_suffix(".key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _builder(_name(name), issuer.subject, key, days)
    if name[0].isdigit():
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))])
        certificate = certificate.add_extension(address, critical=False)
    file.write_bytes(_private(key) + _pem(certificate.sign(issuer_key, hashes.SHA256())))
    return file


def seed_federation(admin: Any) -> None:
    """Tell Keystone whom to believe what."""
    identity = admin.identity
    group = identity.create_group(name=USERS, domain_id="default")
    local = [{"user": {"name": "{0}"}, "group": {"id": group.id}}]
    entitled = {"type": "HTTP_OIDC_EDUPERSON_ENTITLEMENT", "any_one_of": [ENTITLEMENT]}
    provider(admin, OIDC_PROVIDER, "openid", "HTTP_OIDC_ISS", ISSUER, local, [{"type": "HTTP_OIDC_SUB"}, entitled])
    issuer, subject = "SSL_CLIENT_I_DN", [{"type": "SSL_CLIENT_S_DN"}]
    provider(admin, CERTIFICATE_PROVIDER, "mapped", issuer, f"commonName={AUTHORITY}", local, subject)


def provider(
    admin: Any, name: str, protocol: str, remote_id: str, value: str, local: list[Any], remote: list[Any]
) -> None:
    """An identity provider, its protocol, and what is made of what it says."""
    identity = admin.identity
    identity.create_identity_provider(id=name, remote_ids=[value], is_enabled=True)
    identity.create_mapping(id=name, rules=[{"local": local, "remote": remote}])
    path = f"/OS-FEDERATION/identity_providers/{name}/protocols/{protocol}"
    answer = identity.put(path, json={"protocol": {"mapping_id": name, "remote_id_attribute": remote_id}})
    answer.raise_for_status()


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, days: float = 7) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=days))
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _private(key: Any) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
