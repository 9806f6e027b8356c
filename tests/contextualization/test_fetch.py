"""What VMs fetch while they boot: only what has the right digest, from whom it must be, and the secret goes nowhere
else."""

import hashlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers import certificates
from vmdirac.agent.pinning import pin_of
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates, pinning_source

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"
PATIENCE_S = 60
SECRET = "the-bootstrap-secret"
GOOD = b"#!/bin/sh\necho good\n"
DIGEST = hashlib.sha256(GOOD).hexdigest()
OTHER_PIN = f"sha256//{'A' * 43}="


@dataclass
class Server:
    """Answers with what is queued for a path, the last one again and again; notes what it was asked."""

    answers: dict[str, list[tuple[int, bytes]]]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(answers: dict[str, list[tuple[int, bytes]]], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers.get("X-VMDIRAC-Token")))
            queue = server.answers.get(self.path, [(404, b"")])
            status, body = queue[0]
            if len(queue) > 1:
                del queue[0]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
                body = b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as running:
        if tls:
            running.socket = tls.wrap_socket(running.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        server.url = f"{'https' if tls else 'http'}://{HOST}:{running.server_address[1]}"
        try:
            yield server
        finally:
            running.shutdown()
            thread.join()


@contextmanager
def fetching(
    folder: Path,
    address: str,
    *,
    url: str = "",
    ca: str = "",
    pins: str = "",
    environment: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """``fetch.py`` as it is in the user data, with an identity beside it."""
    script = UserDataTemplates(templates_folder()).render("cloudinit", AgentBoot(url, 7, DIGEST, ca=ca, pins=pins))
    program = script.partition("<<'VMDIRAC_FETCH'\n")[2].partition("VMDIRAC_FETCH\n")[0]
    (folder / "fetch.py").write_text(program)
    if pins:
        (folder / "pinning.py").write_text(pinning_source())
    if url:
        identity = {"url": url, "instance": 7, "secret": SECRET, "ca": ca or None, "pins": pins}
        (folder / "identity.json").write_text(json.dumps(identity))
    running = subprocess.Popen(
        [sys.executable, "-u", "fetch.py", address, DIGEST, "fetched"],
        cwd=folder,
        env={"PATH": os.defpath, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()


def said(running: subprocess.Popen[str]) -> str:
    """Its next line."""
    assert running.stdout
    return running.stdout.readline()


def test_the_manager_is_told_the_secret_for_the_rest_and_for_nothing_else(tmp_path: Path) -> None:
    paths = {"/vmdirac/vm/v1/instances/7/context": SECRET, "/vmdirac/vm/v1/agent": None}
    with serving({path: [(200, GOOD)] for path in paths}) as server:
        for path in paths:
            with fetching(tmp_path, path.removeprefix("/vmdirac"), url=f"{server.url}/vmdirac") as running:
                assert running.wait(PATIENCE_S) == 0
            assert (tmp_path / "fetched").read_bytes() == GOOD
    assert dict(server.asked) == paths


def test_a_script_is_fetched_without_anything_of_ours(tmp_path: Path) -> None:
    """Also once the identity is written down elsewhere."""
    with serving({"/setup?x=1": [(200, GOOD)]}) as server, fetching(tmp_path, f"{server.url}/setup?x=1") as running:
        assert running.wait(PATIENCE_S) == 0
    assert server.asked == [("/setup?x=1", None)]
    assert (tmp_path / "fetched").read_bytes() == GOOD


def test_what_has_another_digest_is_not_even_written_and_it_goes_on_trying(tmp_path: Path) -> None:
    answers = {"/setup": [(200, b"#!/bin/sh\necho evil\n"), (500, b""), (200, GOOD)]}
    with serving(answers) as server, fetching(tmp_path, f"{server.url}/setup") as running:
        assert "not what this VM was launched with; trying again" in said(running)
        assert not (tmp_path / "fetched").exists()
        assert "could not be fetched (HTTP Error 500" in said(running)
        assert running.wait(PATIENCE_S) == 0
    assert (tmp_path / "fetched").read_bytes() == GOOD
    assert len(server.asked) == 3


def test_a_manager_that_points_elsewhere_is_not_followed(tmp_path: Path) -> None:
    """The secret would go along."""
    with serving({"/vm/v1/instances/7/context": [(200, GOOD)]}) as elsewhere:
        answers = {"/vm/v1/instances/7/context": [(302, f"{elsewhere.url}/vm/v1/instances/7/context".encode())]}
        with (
            serving(answers) as server,
            fetching(tmp_path, "/vm/v1/instances/7/context", url=server.url) as running,
        ):
            assert "HTTP Error 302" in said(running)
            assert running.poll() is None
    assert elsewhere.asked == []
    assert not (tmp_path / "fetched").exists()


def test_a_script_may_be_elsewhere(tmp_path: Path) -> None:
    with serving({"/moved": [(200, GOOD)]}) as elsewhere:
        answers = {"/setup": [(302, f"{elsewhere.url}/moved".encode())]}
        with serving(answers) as server, fetching(tmp_path, f"{server.url}/setup") as running:
            assert running.wait(PATIENCE_S) == 0
    assert (tmp_path / "fetched").read_bytes() == GOOD


def test_the_manager_is_asked_past_any_proxy(tmp_path: Path) -> None:
    with serving({}) as proxy, serving({"/vm/v1/instances/7/context": [(200, GOOD)]}) as server:
        environment = {"http_proxy": proxy.url, "https_proxy": proxy.url, "all_proxy": proxy.url}
        path = "/vm/v1/instances/7/context"
        with fetching(tmp_path, path, url=server.url, environment=environment) as running:
            assert running.wait(PATIENCE_S) == 0
        assert proxy.asked == []


class TestOwnCertificate:
    """A manager whose certificate nobody signed but itself: VMs are given the certificate, and know its key."""

    @pytest.fixture
    def own(self, tmp_path: Path) -> certificates.Certificates:
        return certificates.make_self_signed(tmp_path / "own", HOST)

    def test_it_is_known_by_its_key(self, own: certificates.Certificates, tmp_path: Path) -> None:
        with serving({"/vm/v1/agent": [(200, GOOD)]}, own.server()) as server:
            ca = own.certificate.read_text()
            with fetching(tmp_path, "/vm/v1/agent", url=server.url, ca=ca) as running:
                assert running.wait(PATIENCE_S) == 0
        assert (tmp_path / "fetched").read_bytes() == GOOD

    def test_another_key_with_the_same_name_is_refused(self, own: certificates.Certificates, tmp_path: Path) -> None:
        other = certificates.make_self_signed(tmp_path / "other", HOST)
        with serving({"/vm/v1/instances/7/context": [(200, GOOD)]}, other.server()) as server:
            ca = own.certificate.read_text()
            with fetching(tmp_path, "/vm/v1/instances/7/context", url=server.url, ca=ca) as running:
                assert "certificate verify failed" in said(running).lower()
        assert server.asked == []


class TestPins:
    """A manager that is known by its public key, beside its certificate."""

    @pytest.fixture
    def made(self, tmp_path: Path) -> certificates.Certificates:
        return certificates.make(tmp_path / "made", HOST)

    def test_with_one_of_the_keys_it_is_asked(self, made: certificates.Certificates, tmp_path: Path) -> None:
        pins = f"{OTHER_PIN} {pin_of(ssl.PEM_cert_to_DER_cert(made.certificate.read_text()))}"
        with serving({"/vm/v1/agent": [(200, GOOD)]}, made.server()) as server:
            ca = made.authority.read_text()
            with fetching(tmp_path, "/vm/v1/agent", url=server.url, ca=ca, pins=pins) as running:
                assert running.wait(PATIENCE_S) == 0
        assert (tmp_path / "fetched").read_bytes() == GOOD

    def test_with_another_key_it_is_not_even_asked(self, made: certificates.Certificates, tmp_path: Path) -> None:
        path = "/vm/v1/instances/7/context"
        with serving({path: [(200, GOOD)]}, made.server()) as server:
            ca = made.authority.read_text()
            with fetching(tmp_path, path, url=server.url, ca=ca, pins=OTHER_PIN) as running:
                assert "the server's public key is another one" in said(running)
                assert running.poll() is None
        assert server.asked == []

    def test_a_script_may_be_on_any_server(self, tmp_path: Path) -> None:
        with (
            serving({"/setup": [(200, GOOD)]}) as server,
            fetching(tmp_path, f"{server.url}/setup", pins=OTHER_PIN) as running,
        ):
            assert running.wait(PATIENCE_S) == 0
