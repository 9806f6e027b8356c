"""Bodies that are too large are refused before they are read, whoever lies about their length."""

import asyncio
import base64
from collections import Counter
from typing import Any

import pytest

from tests.manager.conftest import Manager
from vmdirac.config.settings import secret_keys
from vmdirac.manager.body_limit import LARGE, LARGE_AT_ONCE, SMALL, BodyLimit
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


def serve(headers: list[tuple[bytes, bytes]], receive: Any, app: Any = drink_all, patience: float = 20.0) -> int:
    """The status of the answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/vm/v1/instances/1/jobs/1/finish", "headers": headers}
    asyncio.run(BodyLimit(app, patience)(scope, receive, send))
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("length", [b"9" * 5000, b"1e9", b"0x10", b"+1", b"", "\u0663".encode()])
def test_a_length_that_is_none_is_refused(length: bytes) -> None:
    assert serve([(b"content-length", length)], Lying([]).receive) == 413


def test_of_two_lengths_the_larger_counts() -> None:
    for lengths in ([b"10", b"999999999"], [b"999999999", b"10"]):
        assert serve([(b"content-length", length) for length in lengths], Lying([]).receive) == 413


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    assert serve([(b"content-length", b"10")], never, patience=0.05) == 408


def test_one_that_trickles_in_is_cut_off() -> None:
    async def drop() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert serve([], drop, patience=0.2) == 408


def test_one_that_comes_steadily_has_its_time() -> None:
    """Each piece earns more time than it takes."""
    pieces = iter([b"x" * 16 * 1024] * 8)

    async def steady() -> Any:
        await asyncio.sleep(0.05)
        piece = next(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await drink_all(scope, receive, send)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    assert serve([], steady, answer, patience=0.1) == 200


def test_what_comes_after_the_body_is_waited_for_as_long_as_it_takes() -> None:
    """An app that answers slowly listens meanwhile whether the connection ends."""
    ended = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if (message := next(ended, None)) is not None:
            return message
        await asyncio.sleep(0.2)
        return {"type": "http.disconnect"}

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})

    assert serve([], receive, listen, patience=0.05) == 200


def test_one_vm_sends_only_so_many_large_bodies_at_once() -> None:
    from datetime import UTC, datetime

    def headers(instance: int, length: bytes) -> list[tuple[bytes, bytes]]:
        token = issue(secret_keys()[0], instance, datetime.now(UTC)).text.encode()
        return [(b"x-vmdirac-token", token), (b"content-length", length)]

    async def run() -> None:
        waiting, all_in, statuses, inside = asyncio.Event(), asyncio.Event(), list[int](), Counter[str]()

        async def hold(scope: Any, receive: Any, send: Any) -> None:
            inside["calls"] += 1
            if inside["calls"] == LARGE_AT_ONCE:
                all_in.set()
            await waiting.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        gate = BodyLimit(hold)

        def call(instance: int, length: bytes) -> Any:
            scope = {"type": "http", "path": "/x/finish", "headers": headers(instance, length)}
            return asyncio.ensure_future(gate(scope, Lying([]).receive, send))

        large = str(SMALL + 1).encode()
        held = [call(1, large) for _ in range(LARGE_AT_ONCE)]
        await all_in.wait()
        await call(1, large)
        assert statuses == [503]
        held += [call(2, large), call(1, b"10")]
        waiting.set()
        await asyncio.gather(*held)
        assert statuses == [503] + [200] * (LARGE_AT_ONCE + 2)
        await call(1, large)
        assert statuses[-1] == 200, "places are given back"

    asyncio.run(run())
