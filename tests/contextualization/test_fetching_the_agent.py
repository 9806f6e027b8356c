"""How the user data gets the agent: from a manager that is who it must be, and from nobody else."""

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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers import certificates
from tests.servers.certificates import Certificates
from vmdirac.agent.config import read_config
from vmdirac.agent.manager import Manager
from vmdirac.agent.pinning import pin_of
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates

pytestmark = pytest.mark.slow

HOST = "127.0.0.1"
AGENT = b"import sys\nprint('the agent runs with', sys.argv[1])\n"
PATIENCE_S = 60


class Handler(BaseHTTPRequestHandler):
    """Hands out the agent, and notes that it was asked."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(AGENT)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def manager(tls: ssl.SSLContext | None) -> Iterator[tuple[str, list[str]]]:
    """Where it is, and what it was asked for."""
    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        server.asked = []  # type: ignore[attr-defined]
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            scheme = "https" if tls else "http"
            yield f"{scheme}://{HOST}:{server.server_address[1]}/vmdirac", server.asked  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def booted(vm: Path, url: str, ca: str, pins: str = "") -> Iterator[subprocess.Popen[str]]:
    """The user data as it runs on a VM."""
    vm.mkdir()
    script = vm / "user-data"
    boot = AgentBoot(url, 7, hashlib.sha256(AGENT).hexdigest(), ca=ca, pins=pins)
    script.write_text(UserDataTemplates(templates_folder()).render("cloudinit", boot))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    environment = {"PATH": path, "VMDIRAC_VM_DIRECTORY": str(vm), "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        ["sh", str(script)],
        env=environment,
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


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return certificates.make(tmp_path / "certificates", HOST)


def test_with_an_authority_of_its_own_a_vm_fetches_the_agent_and_hands_it_on(
    tmp_path: Path, made: Certificates
) -> None:
    ca = made.authority.read_text()
    with manager(made.server()) as (url, asked), booted(tmp_path / "vm", url, ca) as running:
        said, _ = running.communicate(timeout=PATIENCE_S)
        assert (running.returncode, said) == (0, "the agent runs with agent.json\n")
    assert asked == [f"/vmdirac/vm/v1/agent/{hashlib.sha256(AGENT).hexdigest()}"]
    home = tmp_path / "vm" / "vmdirac"
    assert (home / "ca.pem").read_text() == ca
    assert {path.stat().st_mode & 0o077 for path in home.iterdir()} == {0}
    # The real agent takes what was written for it.
    config = read_config(str(home / "agent.json"))
    assert config.ca_file == str(home / "ca.pem")
    assert (config.url, config.instance, config.secret) == (url, "7", PLACEHOLDER)
    Manager(config.url, config.instance, config.ca_file)


@pytest.mark.parametrize("knows_another", [True, False], ids=["another authority", "the system's authorities"])
def test_a_manager_that_is_not_who_it_must_be_is_not_even_asked(
    tmp_path: Path, made: Certificates, knows_another: bool
) -> None:
    other = certificates.make(tmp_path / "others", HOST).authority.read_text()
    ca = other if knows_another else ""
    with manager(made.server()) as (url, asked), booted(tmp_path / "vm", url, ca) as running:
        assert running.stdout
        assert "certificate verify failed" in running.stdout.readline().lower()
        assert running.poll() is None  # it goes on trying
    assert asked == []
    assert not (tmp_path / "vm" / "vmdirac" / "vmdirac_agent.py").exists()


def test_the_agent_is_told_the_keys_by_which_the_manager_is_known(tmp_path: Path, made: Certificates) -> None:
    ca, pin = made.authority.read_text(), pin_of(ssl.PEM_cert_to_DER_cert(made.certificate.read_text()))
    with manager(made.server()) as (url, _), booted(tmp_path / "vm", url, ca, pin) as running:
        said, _ = running.communicate(timeout=PATIENCE_S)
        assert (running.returncode, said) == (0, "the agent runs with agent.json\n")
    config = read_config(str(tmp_path / "vm" / "vmdirac" / "agent.json"))
    assert config.pins == pin
    assert Manager(config.url, config.instance, config.ca_file, config.pins)._pins == [pin]


def test_without_an_authority_of_its_own_none_is_written_down(tmp_path: Path) -> None:
    with manager(None) as (url, _), booted(tmp_path / "vm", url, "") as running:
        said, _ = running.communicate(timeout=PATIENCE_S)
        assert (running.returncode, said) == (0, "the agent runs with agent.json\n")
    home = tmp_path / "vm" / "vmdirac"
    assert not (home / "ca.pem").exists()
    keys = {"url", "instance", "secret", "work_directory", "state_directory", "logs"}
    assert json.loads((home / "agent.json").read_text()).keys() == keys
