"""Permissions to put one file into a store: tried on a real S3 (moto's), without any key on the VM's side."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import boto3  # type: ignore[import-untyped]
import pytest
from airflow.sdk import Connection
from moto.server import ThreadedMotoServer

from vmdirac.hooks.upload_permissions import HOOK_SECONDS, UploadPermissions
from vmdirac.model.errors import ConfigError
from vmdirac.model.output_target import OutputTarget, Permission

pytestmark = pytest.mark.slow

TARGET = OutputTarget("s3://bucket/results", "signer")
LOCATION = TARGET.location(12, 3, "a b%.root")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def signer(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    style = {"s3": {"addressing_style": "path"}}
    extra = {"endpoint_url": s3, "region_name": "us-east-1", "config_kwargs": style}
    connection = {"conn_type": "aws", "login": "key", "password": "very-secret-key", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SIGNER", json.dumps(connection))


def permit(target: OutputTarget, files: Sequence[tuple[str, int]]) -> list[Permission]:
    return UploadPermissions().permit(target, files)


def put(url: str, content: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("PUT", f"{parts.path}?{parts.query}", content, headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.usefixtures("signer")
def test_a_file_is_put_without_a_key(s3: str) -> None:
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x"}
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **keys)
    client.create_bucket(Bucket="bucket")
    [given] = permit(TARGET, [(LOCATION, 5)])
    assert "very-secret-key" not in given.url
    assert put(given.url, b"hello", dict(given.headers)) == 200
    assert client.get_object(Bucket="bucket", Key="results/12/3/a b%.root")["Body"].read() == b"hello"


@pytest.mark.usefixtures("signer")
def test_it_is_good_for_one_place_one_size_and_a_while() -> None:
    [given] = permit(TARGET, [(LOCATION, 5)])
    parts = urlsplit(given.url)
    assert parts.path == "/bucket/results/12/3/a%20b%25.root"
    assert "content-length" in parts.query
    assert "X-Amz-Expires=3600" in parts.query
    assert given.headers == {"Content-Length": "5"}


def test_a_store_that_wants_no_signature_is_used_as_it_is() -> None:
    target = OutputTarget("https://store.example.org/results")
    [given] = permit(target, [(target.location(12, 3, "a"), 5)])
    assert (given.url, given.headers) == ("https://store.example.org/results/12/3/a", {})


def test_a_signer_that_there_is_not_is_an_error_without_secrets() -> None:
    with pytest.raises(ConfigError, match="none_of_this_name cannot sign for s3://bucket"):
        permit(OutputTarget("s3://bucket", "none_of_this_name"), [("s3://bucket/1/1/a", 5)])


class TestConnections:
    """The store's connection is read now and then, not for each file."""

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch, signer: None) -> list[str]:
        read: list[str] = []
        get = Connection.get

        def noted(conn_id: str) -> Connection:
            read.append(conn_id)
            found: Connection = get(conn_id)
            return found

        monkeypatch.setattr(Connection, "get", noted)
        return read

    def test_it_is_read_once_for_many_files(self, read: list[str]) -> None:
        permissions = UploadPermissions()
        permissions.permit(TARGET, [(LOCATION, 5)])
        once = len(read)
        for _ in range(20):
            permissions.permit(TARGET, [(LOCATION, 5), (LOCATION, 6)])
        assert len(read) == once > 0

    def test_it_is_read_again_after_a_while(self, read: list[str]) -> None:
        now = 0.0
        permissions = UploadPermissions(lambda: now)
        permissions.permit(TARGET, [(LOCATION, 5)])
        once = len(read)
        now = HOOK_SECONDS
        permissions.permit(TARGET, [(LOCATION, 5)])
        assert len(read) == 2 * once

    def test_one_that_was_missing_is_looked_for_again(self, signer: None, monkeypatch: pytest.MonkeyPatch) -> None:
        connection = os.environ["AIRFLOW_CONN_SIGNER"]
        monkeypatch.delenv("AIRFLOW_CONN_SIGNER")
        permissions = UploadPermissions()
        with pytest.raises(ConfigError):
            permissions.permit(TARGET, [(LOCATION, 5)])
        monkeypatch.setenv("AIRFLOW_CONN_SIGNER", connection)
        assert permissions.permit(TARGET, [(LOCATION, 5)])
