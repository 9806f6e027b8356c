"""The proxy does what its plan says, and nothing else."""

import math
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.servers.faulty_proxy import Fault, FaultyProxy

ANSWER = b"<list><item/><next>token</next></list>"


class Server(ThreadingHTTPServer):
    """Answers everything alike, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", str(len(ANSWER)))
                self.end_headers()
                self.wfile.write(ANSWER)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(server: Server) -> Iterator[FaultyProxy]:
    with FaultyProxy(server.server_address[1], name_of=lambda method, path, body: f"{method} {body.decode()}") as proxy:
        yield proxy


def ask(proxy: FaultyProxy, body: bytes = b"do", *, timeout: float = 60) -> tuple[int, bytes, dict[str, str]]:
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        connection.request("POST", "/", body)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())
    finally:
        connection.close()


def test_without_a_fault_it_only_passes_on(server: Server, proxy: FaultyProxy) -> None:
    assert ask(proxy)[:2] == (200, ANSWER)
    assert server.asked == [b"do"]
    assert proxy.calls == ["POST do"]


def test_an_answer_that_is_lost_was_given(server: Server, proxy: FaultyProxy) -> None:
    with proxy.fault("do", status=0, after=True), pytest.raises((HTTPException, OSError)):
        ask(proxy)
    assert server.asked == [b"do"]


def test_a_call_that_is_cut_never_arrives(server: Server, proxy: FaultyProxy) -> None:
    with proxy.fault("do", status=0), pytest.raises((HTTPException, OSError)):
        ask(proxy)
    assert server.asked == []


def test_a_refusal_has_its_status_and_headers(server: Server, proxy: FaultyProxy) -> None:
    with proxy.fault("do", status=429, headers={"Retry-After": "7"}, message="slowly"):
        status, content, headers = ask(proxy)
    assert (status, headers["Retry-After"]) == (429, "7")
    assert b"slowly" in content
    assert server.asked == []


def test_an_answer_breaks_off(proxy: FaultyProxy) -> None:
    with proxy.fault("do", status=None, keep=0.5), pytest.raises(IncompleteRead) as raised:
        ask(proxy)
    assert raised.value.partial == ANSWER[: len(ANSWER) // 2]


def test_a_truncated_answer_looks_whole(proxy: FaultyProxy) -> None:
    with proxy.fault("do", status=None, without="<next>.*</next>"):
        assert ask(proxy)[:2] == (200, b"<list><item/></list>")


@pytest.mark.parametrize("after", [True, False])
def test_what_is_late_waits_until_the_caller_has_given_up(server: Server, proxy: FaultyProxy, after: bool) -> None:
    with proxy.fault("do", status=None, delay=math.inf, after=after), pytest.raises(TimeoutError):
        ask(proxy, timeout=0.2)
    proxy.wait_until_quiet()
    assert server.asked == [b"do"], "it takes effect all the same"


def test_a_delay_ends_by_itself(proxy: FaultyProxy) -> None:
    with proxy.fault("do", status=None, delay=0.01):
        assert ask(proxy)[:2] == (200, ANSWER)


def test_the_first_fault_that_fits_holds_as_often_as_it_says(proxy: FaultyProxy) -> None:
    first, second = Fault("^POST do", status=500, times=2), Fault("", status=503)
    with proxy.plan(first, second):
        assert [ask(proxy, body)[0] for body in (b"do", b"other", b"do", b"do")] == [500, 503, 500, 503]
    assert (first.struck, second.struck) == (2, 2)
    assert ask(proxy)[0] == 200


def test_a_share_is_drawn_by_the_seed(server: Server) -> None:
    def drawn(seed: int) -> list[int]:
        with FaultyProxy(server.server_address[1], seed=seed) as proxy, proxy.fault("", share=0.5):
            return [ask(proxy)[0] for _ in range(40)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 8 < drawn(1).count(500) < 32
