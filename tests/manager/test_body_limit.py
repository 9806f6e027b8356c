"""Bodies that are too large are refused before they are read, whoever lies about their length."""

import asyncio
import base64
from typing import Any

import pytest

from tests.manager.conftest import Manager
from vmdirac.config.settings import secret_keys
from vmdirac.manager.body_limit import LARGE, SMALL, BodyLimit
from vmdirac.manager.vm_tokens import issue


def test_a_large_heartbeat_is_refused(manager: Manager) -> None:
    instance = manager.running()
    answer = manager.heartbeat(instance, jobs=[{"job": 1, "lease": "x" * 60}] * 10_000)
    assert answer.status_code == 413
    assert "too large" in answer.text


def test_a_vm_may_send_large_results(manager: Manager) -> None:
    instance = manager.running()
    [job_id] = manager.submit()
    job = manager.post(instance, "match", {"processors": 1}).json()["jobs"][0]
    out = base64.b64encode(b"x" * (4 * SMALL)).decode()
    body = {"lease": job["lease"], "exit_code": 0, "files": [{"name": "out", "content": out}]}
    # The gate in front of the app has the real clock: a token of now.
    from datetime import UTC, datetime

    manager.now = datetime.now(UTC)
    assert manager.post(instance, f"jobs/{job_id}/finish", body).json() == {"accepted": True}


def test_nobody_else_may(manager: Manager) -> None:
    instance = manager.running()
    assert manager.post(instance, "jobs/1/finish", {"log": "x" * SMALL}, "no-token").status_code == 413


class Lying:
    """A request whose body is longer than announced, or not announced at all; counts what was read of it."""

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.headers = headers
        self.read = 0

    async def receive(self) -> dict[str, Any]:
        self.read += 65536
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}


async def drink_all(scope: Any, receive: Any, send: Any) -> None:
    """An app that reads its whole body, however long."""
    while (await receive())["more_body"]:
        pass


@pytest.mark.parametrize(
    ("headers", "limit"),
    [
        ([], SMALL),
        ([(b"content-length", b"10")], SMALL),
        ([(b"transfer-encoding", b"chunked")], SMALL),
        ([(b"X-VMDIRAC-Token", b"forged")], SMALL),
    ],
)
def test_the_length_is_counted_not_believed(headers: list[tuple[bytes, bytes]], limit: int) -> None:
    request = Lying(headers)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/vm/v1/instances/1/jobs/1/finish", "headers": request.headers}
    asyncio.run(BodyLimit(drink_all)(scope, request.receive, send))
    assert sent[0]["status"] == 413
    assert request.read <= limit + 65536


def test_a_negative_length_is_refused() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "headers": [(b"content-length", b"-1")]}
    asyncio.run(BodyLimit(drink_all)(scope, Lying([]).receive, send))
    assert sent[0]["status"] == 413


def test_a_good_token_opens_the_large_limit_only_where_results_come_in() -> None:
    from datetime import UTC, datetime

    token = issue(secret_keys()[0], 1, datetime.now(UTC)).text.encode()
    for path, allowed in (("/vm/v1/instances/1/jobs/1/finish", LARGE), ("/vm/v1/instances/1/heartbeat", SMALL)):
        sent: list[Any] = []

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        request = Lying([(b"x-vmdirac-token", token)])
        scope = {"type": "http", "path": path, "headers": request.headers}
        asyncio.run(BodyLimit(drink_all)(scope, request.receive, send))
        assert sent[0]["status"] == 413
        assert allowed < request.read <= allowed + 65536
