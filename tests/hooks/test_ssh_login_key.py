"""The key that we log in with, from an Airflow connection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from tests.servers import missing, sshd
from tests.servers.sshd import make_key, public
from vmdirac.hooks.ssh_errors import LoginKeyError
from vmdirac.hooks.ssh_login_key import key_of, login_key

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _openssh() -> None:
    if reason := sshd.unavailable():
        missing(reason)


def connection(conn_type: str = "ssh", **extra: Any) -> Connection:
    return Connection(conn_id="key", conn_type=conn_type, extra=json.dumps(extra))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_its_text_or_where_it_is(tmp_path: Path, kind: str) -> None:
    path = make_key(tmp_path / "key", kind)
    found = [
        key_of(connection(private_key=path.read_text())),
        key_of(connection(private_key=path.read_text().replace("\n", "\\n"))),
        key_of(connection(private_key=path.read_text(), key_file="/nowhere")),
        key_of(connection(key_file=str(path))),
    ]
    assert {f"{key.get_name()} {key.get_base64()}" for key in found} == {" ".join(public(path).split()[:2])}


def test_from_airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_key(tmp_path / "key")
    value = {"conn_type": "ssh", "extra": {"private_key": path.read_text()}}
    monkeypatch.setenv("AIRFLOW_CONN_LOGIN_KEY", json.dumps(value))
    assert login_key("login_key").get_base64() in public(path)
    with pytest.raises(LoginKeyError, match="there is no connection 'nobodys'"):
        login_key("nobodys")


def test_a_secrets_backend_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(conn_id: str) -> Connection:
        raise ConnectionError(f"no answer for {conn_id}, tried with token s3cret")

    monkeypatch.setattr(Connection, "get", get)
    with pytest.raises(LoginKeyError, match="connection 'key' could not be read \\(ConnectionError\\)"):
        login_key("key")


def test_an_encrypted_one(tmp_path: Path) -> None:
    path = make_key(tmp_path / "key", passphrase="long enough")
    text = path.read_text()
    assert key_of(connection(private_key=text, private_key_passphrase="long enough")).get_base64() in public(path)
    with pytest.raises(LoginKeyError, match="add private_key_passphrase"):
        key_of(connection(private_key=text))
    with pytest.raises(LoginKeyError, match="the right one") as refused:
        key_of(connection(private_key=text, private_key_passphrase="a wrong secret"))
    assert "a wrong secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({}, "neither private_key nor key_file"),
        ({"private_key": "  "}, "neither private_key nor key_file"),
        ({"private_key": ["x"]}, "neither private_key nor key_file"),
        ({"private_key": "s3cret nonsense"}, "cannot be read"),
        ({"key_file": ["x"]}, "cannot be read"),
        ({"key_file": "/nowhere/key"}, "its key_file cannot be read"),
    ],
)
def test_none(extra: dict[str, Any], message: str) -> None:
    with pytest.raises(LoginKeyError, match=message) as refused:
        key_of(connection(**extra))
    assert "s3cret" not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_another_type_of_connection() -> None:
    with pytest.raises(LoginKeyError, match="of type 'http': it must be of type ssh"):
        key_of(connection("http"))
