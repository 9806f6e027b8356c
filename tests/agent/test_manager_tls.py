"""The agent verifies whom it gives its secrets to."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.agent.scripted_manager import SECRET, ScriptedManager
from vmdirac.agent.manager import Manager
from vmdirac.agent.pinning import pin_of

MESSAGE = {"nonce": "nonce-0123456789abcdef"}


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 signed by itself, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "manager")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    path = tmp_path / "certificate.pem"
    path.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem))
    return path


@pytest.fixture
def secured(certificate: Path) -> Iterator[ScriptedManager]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    manager = ScriptedManager(context)
    yield manager
    manager.stop()


def test_a_manager_with_a_known_certificate_is_trusted(secured: ScriptedManager, certificate: Path) -> None:
    assert Manager(secured.url, "17", str(certificate)).call("/register", SECRET, MESSAGE).status == 200


def test_a_manager_with_an_unknown_certificate_is_told_nothing(secured: ScriptedManager) -> None:
    answer = Manager(secured.url, "17").call("/register", SECRET, MESSAGE)
    assert answer.status == 0
    assert "certificate verify failed" in answer.detail.lower()
    assert secured.calls == []


OTHER_PIN = f"sha256//{'A' * 43}="


class TestPins:
    """Beside its certificate, the manager is known by its public key."""

    def test_one_that_has_a_pinned_key_is_trusted(self, secured: ScriptedManager, certificate: Path) -> None:
        for pins in (pin(certificate), f"{OTHER_PIN} {pin(certificate)}"):
            answer = Manager(secured.url, "17", str(certificate), pins).call("/register", SECRET, MESSAGE)
            assert answer.status == 200

    def test_one_that_has_another_key_is_told_nothing(self, secured: ScriptedManager, certificate: Path) -> None:
        manager = Manager(secured.url, "17", str(certificate), OTHER_PIN)
        for answer in (manager.call("/register", SECRET, MESSAGE), manager.fetch("/agent", 100)):
            assert answer.status == 0
            assert f"another one: {pin(certificate)}" in answer.detail
        assert (secured.calls, secured.fetched) == ([], 0)

    def test_a_pinned_key_is_not_enough(self, secured: ScriptedManager, certificate: Path) -> None:
        answer = Manager(secured.url, "17", None, pin(certificate)).call("/register", SECRET, MESSAGE)
        assert "certificate verify failed" in answer.detail.lower()
        assert secured.calls == []


def pin(certificate: Path) -> str:
    return pin_of(ssl.PEM_cert_to_DER_cert(certificate.read_text().partition("-----END PRIVATE KEY-----\n")[2]))


def test_a_certificate_of_another_host_is_told_nothing(secured: ScriptedManager, certificate: Path) -> None:
    elsewhere = secured.url.replace("127.0.0.1", "localhost")
    answer = Manager(elsewhere, "17", str(certificate)).call("/register", SECRET, MESSAGE)
    assert answer.status == 0
    assert "mismatch" in answer.detail
    assert secured.calls == []
