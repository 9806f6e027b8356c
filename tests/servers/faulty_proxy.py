"""A proxy of the tests in front of an HTTP server: by plan its answers are refusals, come late, broken off or never."""

from __future__ import annotations

import json
import random
import re
import select
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}

PATIENCE = 120.0
"""Seconds that the proxy waits for anybody at most."""


@dataclass
class Fault:
    """What happens to calls whose name has the pattern. A plan is a list of these: the first one that fits holds.

    :param status: what is answered; 0: nothing, the connection is cut; None: the true answer, but for ``keep`` and
        ``without``.
    :param after: the call takes effect before. Of an answer that is cut then is said that it was lost.
    :param times: so often; None: always.
    :param share: to so many of the calls, drawn by the proxy's seed.
    :param delay: seconds before it; infinite: until the caller has given up. Without ``after`` the effect is late too.
    :param keep: how much of the true answer arrives before the connection is cut, as a share of its length.
    :param without: a pattern that is cut out of the true answer, which then looks whole.
    """

    calls: str
    status: int | None = 500
    message: str = "as planned"
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False
    times: int | None = None
    share: float = 1.0
    delay: float = 0.0
    keep: float = 1.0
    without: str = ""
    struck: int = 0
    """How many calls it has struck so far."""


def by_address(method: str, path: str, _body: bytes) -> str:
    """The name of a call where each has an address of its own."""
    return f"{method} {path}"


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hung up are nothing to be told of."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class FaultyProxy:
    """Forwards to a port of the loopback interface. Threads of this process.

    :param seed: of the draws of faults that strike a share of the calls.
    :param name_of: the name of a call, by method, path and body.
    """

    def __init__(self, port: int, *, seed: int = 0, name_of: Callable[[str, str, bytes], str] = by_address) -> None:
        self.calls: list[str] = []
        """The names of all that was asked."""
        self.connections = 0
        """How often it was called up."""
        self._target = port
        self._name_of = name_of
        self._faults: list[Fault] = []
        self._random = random.Random(seed)
        self._quiet = threading.Condition()
        self._under_way = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and content are two writes, which otherwise wait for each other.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                proxy.connections += 1

            def handle_one_request(self) -> None:
                # All methods alike.
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline:
                    self.close_connection = True
                elif self.parse_request():
                    with proxy._counted():
                        proxy._handle(self)
                        self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:
                """The servers' own logs say enough."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def fault(self, calls: str, **what: Any) -> Iterator[Fault]:
        """Meanwhile there is this fault."""
        fault = Fault(calls, **what)
        with self.plan(fault):
            yield fault

    @contextmanager
    def plan(self, *faults: Fault) -> Iterator[None]:
        """Meanwhile there are these faults."""
        self._faults.extend(faults)
        try:
            yield
        finally:
            for fault in faults:
                self._faults.remove(fault)

    def wait_until_quiet(self) -> None:
        """Until no call is under way any more, those of callers included that are gone."""
        with self._quiet:
            assert self._quiet.wait_for(lambda: not self._under_way, PATIENCE), "a call has no end"

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._quiet:
            self._under_way += 1
        try:
            yield
        finally:
            with self._quiet:
                self._under_way -= 1
                self._quiet.notify_all()

    def _struck(self, call: str) -> Fault | None:
        with self._quiet:
            self.calls.append(call)
            for fault in self._faults:
                if fault.times == 0 or not re.search(fault.calls, call):
                    continue
                if fault.share < 1 and self._random.random() >= fault.share:
                    continue
                if fault.times:
                    fault.times -= 1
                fault.struck += 1
                return fault
        return None

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length) if length else b""
        fault = self._struck(self._name_of(handler.command, handler.path, body))
        if fault is None:
            return self._answer(handler, *self._forward(handler, body))
        if not fault.after:
            self._delay(handler, fault.delay)
            if fault.status is not None:
                return self._refuse(handler, fault)
        status, headers, content = self._forward(handler, body)
        if fault.after:
            self._delay(handler, fault.delay)
        if fault.status is not None:
            return self._refuse(handler, fault)
        if fault.without:
            content = re.sub(fault.without.encode(), b"", content, flags=re.DOTALL)
        return self._answer(handler, status, headers, content, fault.keep)

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self._target, timeout=PATIENCE)
        try:
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(handler.command, handler.path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        return response.status, kept, content

    @staticmethod
    def _delay(handler: BaseHTTPRequestHandler, seconds: float) -> None:
        if seconds:
            # What can be read now is the end of the connection: nobody asks again before they are answered.
            select.select([handler.connection], [], [], min(seconds, PATIENCE))

    def _refuse(self, handler: BaseHTTPRequestHandler, fault: Fault) -> None:
        if not fault.status:
            return self._cut(handler)
        content = json.dumps({"fault": {"code": fault.status, "message": fault.message}}).encode()
        return self._answer(handler, fault.status, {"Content-Type": "application/json", **fault.headers}, content)

    @staticmethod
    def _cut(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        with suppress(OSError):  # the caller was faster
            handler.connection.shutdown(socket.SHUT_RDWR)

    def _answer(
        self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes, keep: float = 1.0
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[: int(len(content) * keep)])
        if keep < 1:
            handler.wfile.flush()
            self._cut(handler)
