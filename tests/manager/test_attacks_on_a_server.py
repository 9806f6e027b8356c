"""Attacks on real servers, where sockets, threads and processes decide: races, slow and lying bodies; and a scan of all
that they leave behind for planted secrets."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa

from tests.fakes.rows import add_instance
from tests.servers.manager_server import ManagerServer
from vmdirac.config.settings import secret_keys
from vmdirac.contextualization.bootstrap_secret import bootstrap_secret, fingerprint
from vmdirac.manager.body_limit import LARGE, PATIENCE_S, SMALL
from vmdirac.model.states import InstanceStatus
from vmdirac.store.database import Store
from vmdirac.store.tables import InstanceRow

RIVALS = 50


def launched(store: Store) -> tuple[int, str]:
    """An instance that waits for its VM, and its secret."""
    key, token = secret_keys()[0], secrets.token_hex(16)
    secret = bootstrap_secret(key, token)
    with store.write() as session:
        row = add_instance(
            session,
            InstanceStatus.SUBMITTED,
            launch_token=token,
            bootstrap_hash=fingerprint(secret),
            secret_key_id=key.key_id,
        )
    return row.id, secret


def call(server: ManagerServer, instance: int, what: str, token: str, body: Any) -> tuple[int, dict[str, Any]]:
    with closing(server.connection()) as connection:
        headers = {"X-VMDIRAC-Token": token, "Content-Type": "application/json"}
        connection.request("POST", f"/vm/v1/instances/{instance}/{what}", json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        return answer.status, json.loads(said) if said else {}


@pytest.mark.slow
def test_of_fifty_that_register_at_once_with_two_servers_exactly_one_wins(store: Store, tmp_path: Path) -> None:
    url = store.engine.url.render_as_string(hide_password=False)
    with ExitStack() as stack:
        servers = [stack.enter_context(ManagerServer(tmp_path, url)) for _ in range(2)]
        for _ in range(3):
            instance, secret = launched(store)
            together = Barrier(RIVALS)

            def register(number: int, instance: int = instance, secret: str = secret, together: Any = together) -> int:
                together.wait(120)
                return call(servers[number % 2], instance, "register", secret, {"nonce": f"{number:032}"})[0]

            with ThreadPoolExecutor(RIVALS) as pool:
                statuses = list(pool.map(register, range(RIVALS)))
            assert Counter(statuses) == {200: 1, 409: RIVALS - 1}
            winner = statuses.index(200)
            for number in (winner, (winner + 1) % RIVALS):
                expected = 200 if number == winner else 409
                for server in servers:
                    again = call(server, instance, "register", secret, {"nonce": f"{number:032}"})
                    assert again[0] == expected
            with store.read() as session:
                row = session.get_one(InstanceRow, instance)
            assert row.nonce_hash == fingerprint(f"{winner:032}")
            assert row.suspicious


@pytest.fixture
def server(sqlite_store: Store, tmp_path: Path) -> Iterator[ManagerServer]:
    with ManagerServer(tmp_path, str(sqlite_store.engine.url)) as server:
        yield server


@pytest.fixture
def vm(server: ManagerServer, sqlite_store: Store) -> tuple[int, str]:
    """An instance that has registered, and its token."""
    instance, secret = launched(sqlite_store)
    status, told = call(server, instance, "register", secret, {"nonce": "n" * 32})
    assert status == 200
    return instance, told["token"]


def opened(server: ManagerServer, head: str) -> socket.socket:
    """A connection on which this much was sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=120)
    connection.sendall(head.replace("\n", "\r\n").encode())
    return connection


def head(instance: int, what: str, token: str, *more: str) -> str:
    lines = [f"POST /vm/v1/instances/{instance}/{what} HTTP/1.1", "Host: vmdirac", f"X-VMDIRAC-Token: {token}"]
    return "\n".join([*lines, "Content-Type: application/json", *more]) + "\n\n"


def answer_to(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    said = b""
    with connection:
        while piece := connection.recv(65536):
            said += piece
    return said


@pytest.mark.slow
def test_slow_bodies_are_cut_off_and_others_are_served_meanwhile(server: ManagerServer, vm: tuple[int, str]) -> None:
    """A hundred of them: more than threads, and than connections to the database."""
    instance, token = vm
    slow = [opened(server, head(instance, "heartbeat", token, "Content-Length: 1000")) for _ in range(100)]
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE_S / 4:
        for connection in slow:
            connection.sendall(b" ")
        assert call(server, instance, "heartbeat", token, {"load": 0, "uptime": 0})[0] == 200
    for connection in slow:
        said = answer_to(connection)
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in said.lower()


@pytest.mark.slow
def test_bodies_that_lie_about_their_length_are_cut_off(server: ManagerServer, vm: tuple[int, str]) -> None:
    instance, token = vm
    for what, limit in (("heartbeat", SMALL), ("jobs/1/finish", LARGE)):
        connection = opened(server, head(instance, what, token, "Transfer-Encoding: chunked"))
        piece = b"%x\r\n" % 65536 + b" " * 65536 + b"\r\n"
        with suppress(ConnectionError):
            for _ in range((limit + 2**22) // 65536):
                connection.sendall(piece)
        # Closed while we were still sending, the answer may be lost with the connection.
        with suppress(ConnectionError):
            assert b" 413 " in answer_to(connection)[:20]
        connection.close()
    announced = opened(server, head(instance, "heartbeat", token, f"Content-Length: {SMALL + 1}"))
    assert b" 413 " in answer_to(announced)[:20]
    assert call(server, instance, "heartbeat", token, {"load": 0, "uptime": 0})[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        pytest.param(["Content-Length: 2", "Content-Length: 200"], id="two lengths"),
        pytest.param(["Content-Length: 2", "Transfer-Encoding: chunked"], id="a length and chunks"),
        pytest.param(["Transfer-Encoding: chunked", "Transfer-Encoding: identity"], id="two encodings"),
        pytest.param(["Content-Length: 99999999999999999999999"], id="an endless length"),
        pytest.param(["Content-Length: -2"], id="a negative length"),
        pytest.param(["X-Long: " + "x" * 200_000], id="a long header"),
    ],
)
def test_requests_that_can_be_read_in_two_ways_are_not_served(
    server: ManagerServer, vm: tuple[int, str], sqlite_store: Store, more: list[str]
) -> None:
    instance, token = vm
    with sqlite_store.read() as session:
        before = session.get_one(InstanceRow, instance).heard_at
    smuggled = head(instance, "heartbeat", token, "Content-Length: 24") + '{"load": 1, "uptime": 1}'
    connection = opened(server, head(instance, "heartbeat", token, *more, "Connection: close") + "{}" + smuggled)
    connection.shutdown(socket.SHUT_WR)
    said = answer_to(connection)
    assert b"HTTP/1.1 2" not in said
    with sqlite_store.read() as session:
        assert session.get_one(InstanceRow, instance).heard_at == before


@pytest.mark.slow
def test_no_secret_is_left_anywhere(sqlite_store: Store, tmp_path: Path) -> None:
    """In the server's log, at its loudest; in the arguments of its processes; in what the database holds."""
    planted = f"planted-{secrets.token_hex(16)}"
    command = tmp_path / "command"
    command.write_text(f"#!/bin/sh\necho {planted}-output\necho {planted}-error >&2\n")
    command.chmod(0o700)
    (tmp_path / "proxy").write_text(f"{planted}-file")
    pods = {
        "pod": {
            "image": "worker",
            "endpoints": ["alpha"],
            "max_instances": 1,
            "requirements": {"cpu_time": 1000},
            "credentials": {
                "file": {"file": str(tmp_path / "proxy"), "environment": "X509_USER_PROXY"},
                "command": {"command": "token"},
                "connection": {"connection": "robot"},
            },
        }
    }
    environment = {
        "AIRFLOW_VAR_VMDIRAC_RUNNING_PODS": json.dumps(pods),
        "AIRFLOW_VAR_VMDIRAC_IMAGES": json.dumps({"worker": {"boot_image": "linux", "flavor": "small"}}),
        "AIRFLOW_CONN_ALPHA": json.dumps({"conn_type": "vmdirac_local", "extra": {"max_instances": 1}}),
        "AIRFLOW_CONN_ROBOT": json.dumps({"conn_type": "generic", "password": f"{planted}-password"}),
        "AIRFLOW__VMDIRAC__CREDENTIALS_FOLDERS": str(tmp_path),
        "AIRFLOW__VMDIRAC__CREDENTIAL_COMMANDS": json.dumps({"token": [str(command)]}),
        "AIRFLOW__VMDIRAC__CREDENTIAL_CONNECTIONS": "robot",
    }
    with ManagerServer(tmp_path, str(sqlite_store.engine.url), environment) as server:
        instance, secret = launched(sqlite_store)
        status, told = call(server, instance, "register", secret, {"nonce": "n" * 32})
        assert (status, told["credentials"]) == (200, True)
        token = told["token"]
        status, given = call(server, instance, "credentials", token, {})
        assert status == 200, given
        contents = {item["name"]: base64.b64decode(item["content"]).decode().strip() for item in given["credentials"]}
        assert contents == {
            "file": f"{planted}-file",
            "command": f"{planted}-output",
            "connection": f"{planted}-password",
        }
        call(server, instance, "heartbeat", token, {"load": "x"})
        call(server, instance, "heartbeat", token[:-4] + "AAAA", {"load": 0, "uptime": 0})
        call(server, instance, "register", secret, {"nonce": "x" * 32})
        call(server, instance, "match", secret, {"processors": 1})
        arguments = " ".join(
            Path(f"/proc/{pid}/cmdline").read_text(errors="replace") for pid in server.process.family()
        )
    log = server.log.read_text(errors="replace")
    assert "was refused" in log, "the log is the one that was meant"
    assert "uvicorn" in arguments
    stored = dump(sqlite_store)
    assert f"{instance}" in stored
    hidden = [planted, secret, token, "n" * 32, os.environ["AIRFLOW__VMDIRAC__SECRET_KEY"]]
    hidden += [item["content"] for item in given["credentials"]]
    for place, text in {"log": log, "arguments": arguments, "database": stored}.items():
        for number, one in enumerate(hidden):
            assert one not in text, f"secret {number} is in the {place}"


def dump(store: Store) -> str:
    """All that is in all tables."""
    with store.engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        rows = [connection.execute(sa.select(sa.text("*")).select_from(sa.table(name))).all() for name in names]
    return repr(rows)
